"""Metrics: defined as data (metrics.toml), compiled to SQL over mergeable states, written to the time-series store."""
