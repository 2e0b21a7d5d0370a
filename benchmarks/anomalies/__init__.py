"""Which way to find anomalies finds most of them and cries wolf least: methods compared on series with seeded faults."""
