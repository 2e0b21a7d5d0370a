"""What `weir anomalies score` reads, and how its rows are judged."""
