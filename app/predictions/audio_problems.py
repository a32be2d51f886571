"""What is wrong with audio, as an answer: 400 if it cannot be read, 422 if it is of no use."""

from app.errors import BadRequest, Invalid, ServalError
from models.audio import AudioError

UNREADABLE = frozenset(
    {"empty_body", "not_audio", "truncated_header", "bad_header", "bad_chunk_size", "undecodable"}
)
"""Codes of files that are damaged or no WAV at all. The others are WAV, and not accepted."""


def audio_problem(error: AudioError) -> ServalError:
    """The problem that a client is told, under the code of the audio's fault."""
    kind = BadRequest if error.code in UNREADABLE else Invalid
    return kind(str(error), code=error.code)
