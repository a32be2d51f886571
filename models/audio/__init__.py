"""Bytes → mono float32 at 16 kHz, or a clear reason why not.

What comes from outside is checked before any decoder sees it. Headers are read here, one file a
kind of container, against a list of what is accepted. The decoder (libsndfile) is then given the
bare samples and what they are, so that its own parsers of headers and of the many optional chunks,
where such libraries have their faults, are never reached.
"""

from models.audio.condition import Condition
from models.audio.decoding import Channel, Samples, Waveform, decode, read_header
from models.audio.encoding import Encoding, encode_flac, encode_wav
from models.audio.layout import MAX_SECONDS
from models.audio.level import active_level_dbfs, level_range, level_warnings
from models.audio.problems import SEVERAL, AudioError, AudioWarning

__all__ = [
    "MAX_SECONDS",
    "SEVERAL",
    "AudioError",
    "AudioWarning",
    "Channel",
    "Condition",
    "Encoding",
    "Samples",
    "Waveform",
    "active_level_dbfs",
    "decode",
    "encode_flac",
    "encode_wav",
    "level_range",
    "level_warnings",
    "read_header",
]
