"""Smaller models that start from the most important blocks and channels of larger ones."""
