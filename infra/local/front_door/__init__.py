"""The front door: what clients see at http://127.0.0.1:3000, in front of the emulator's API Gateway."""
