"""Predictions: one clip in, its emotion out. Not through the queue: in this process, at once."""
