"""Series of metrics judged by their own past, as the definitions ask for it; written to the time-series store."""
