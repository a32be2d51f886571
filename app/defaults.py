"""Defaults of the settings that `serval health` reads too: it cannot wait for `app.settings`."""

from typing import Final

DATA_DIR: Final = "data"
HOST: Final = "127.0.0.1"
PORT: Final = 8000
