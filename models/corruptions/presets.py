"""Corruptions that others test with, by one name."""

from collections.abc import Mapping
from typing import Any, Final, Literal

Preset = Literal["robuser"]

PRESETS: Final[Mapping[Preset, tuple[Mapping[str, Any], ...]]] = {
    # https://github.com/BehavioralSignalTechnologies/ser_robustness, its defaults. It takes
    # background noise from ESC-50, MUSAN and UrbanSound8K and rooms from EchoThief, of RT60 .1-.5,
    # .5-1 and 1-1.5 s: babble and Polack's rooms in the middle of each stand for them. It draws a
    # share up to 20, 40 and 60 % to be clipped, and fades between two gains: here they are fixed.
    "robuser": (
        {"type": "noise", "color": "babble", "snr_db": [20, 10, 0]},
        {"type": "noise", "color": "white", "snr_db": [30, 20, 10]},
        {"type": "reverb", "rt60_seconds": [0.3, 0.75, 1.25]},
        {"type": "clipping", "share": [0.2, 0.4, 0.6]},
        {"type": "gain", "db": [-40, -30, -20, -10]},
        {"type": "codec", "name": "mp3", "kbps": [32, 16, 8]},
    ),
}
"""As a request gives them."""
