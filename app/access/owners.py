"""Whose a job, a corpus or a model is: the id of a key, or `LOCAL`."""

from typing import Final

LOCAL: Final = "local"
"""Owner of whatever is made while no key was ever made."""
