"""The rules of the steps as data."""
