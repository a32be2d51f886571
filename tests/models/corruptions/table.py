"""The table of all kinds, which the tests of this folder run through: a weak and a strong one of
each."""

from typing import Any, Final

from torch import Tensor

from models.corruptions import Corruption, parse
from tests.models.corruptions.sounds import tone

NOISES: Final[dict[str, list[Tensor]]] = {"noises": [tone(50, 0.3), tone(1_000, 2.0)]}
"""Of corpora that corruptions take recordings of."""

GIVEN: Final[list[dict[str, Any]]] = [
    {"type": "background", "corpus": "noises", "snr_db": [30, 0]},
    {"type": "band", "rate_hz": [12_000, 4_000]},
    {"type": "band", "kind": "telephone"},
    {"type": "clipping", "share": [0.2, 0.6]},
    {"type": "codec", "name": "mulaw"},
    {"type": "codec", "name": "alaw"},
    {"type": "codec", "name": "mp3", "kbps": [32, 8]},
    {"type": "codec", "name": "opus", "kbps": [16, 6]},
    {"type": "dither", "lsb": [1, 16]},
    {"type": "gain", "db": [-6, 20]},
    {"type": "noise", "snr_db": [30, 0]},
    {"type": "noise", "snr_db": [30, 0], "color": "pink"},
    {"type": "noise", "snr_db": [30, 0], "color": "babble"},
    {"type": "reverb", "rt60_seconds": [0.1, 1.0]},
    {"type": "silence", "seconds": [0.1, 0.3]},
    {"type": "silence", "seconds": [0.3], "where": "before"},
    {"type": "silence", "seconds": [0.3], "where": "inside"},
    {"type": "silence", "seconds": [0.3], "where": "behind"},
]


def corruptions() -> list[Corruption]:
    return [parse(given).with_recordings(NOISES) for given in GIVEN]
