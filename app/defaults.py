"""Defaults that the command line tells, too: it cannot wait for the modules that have them."""

from typing import Final

DATA_DIR: Final = "data"
HOST: Final = "127.0.0.1"
PORT: Final = 8000
FRONT_END: Final = "logmel-2"
"""Of a training: what it makes hears speech, not levels and gaps."""
