"""Ways to leave out weights and channels, one per file."""
