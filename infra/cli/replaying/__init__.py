"""What `weir replay` reads and says."""
