"""Methods to find anomalies, compared on series with seeded faults: found faults against false alarms."""
