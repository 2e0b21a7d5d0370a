"""Alerts: rules as data, what they see, what becomes of it, and who is told."""
