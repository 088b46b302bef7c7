"""Picking of real recordings with any model: archives, streams, what is written of picks."""
