"""What `weir alerts` is made of."""
