"""The work of a training."""
