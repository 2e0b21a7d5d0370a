"""What `weir schemas` does with files: events held to a registry, and schemas made from events."""
