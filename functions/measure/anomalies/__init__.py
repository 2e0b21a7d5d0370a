"""Anomalies in one series of numbers over time, each judged from the values before it."""

from functions.measure.anomalies.detector import Detector, judge, judge_new
from functions.measure.anomalies.judgement import Judgement, Point, Severity

__all__ = ["Detector", "Judgement", "Point", "Severity", "judge", "judge_new"]
