"""What is wrong with audio: so much that it is refused, or so little that a warning will do."""

from typing import Final, NamedTuple

SAVE_AS: Final = (
    "Save it as WAV, 16-bit PCM, for instance with"
    " `ffmpeg -i YOURS -c:a pcm_s16le -ac 1 -ar 16000 out.wav`."
)


class AudioError(ValueError):
    """Audio that is not accepted. The message names the value and the remedy.

    Attributes:
        code: stable name of the fault:
            ``empty_body``, ``not_audio``, ``truncated_header``, ``bad_header``,
            ``bad_chunk_size``, ``unsupported_encoding``, ``unsupported_channels``,
            ``unsupported_rate``, ``no_such_channel``, ``no_frames``, ``too_short``, ``too_long``,
            ``undecodable``, ``non_finite``, ``out_of_range``, ``silent``.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


SEVERAL: Final = {
    "truncated": "the file ends before the end that its header claims",
    "unknown_length": "the header does not say how long the audio is",
    "header_size": "the header is some bytes off",
    "resampled_from": "the audio was resampled",
    "band_limited": "the upper part of a voice's band is missing",
    "one_channel_of_two": "one of two channels was taken",
    "digital_silence": "a part is exactly constant, as a noise gate or padding leaves it",
    "clipped": "more than a hundredth of the samples are at full scale",
    "too_short": "the clip is so short that it is repeated",
    "level": "the speech is quieter or louder than the model is meant for",
}
"""What a warning's code says of several clips at once."""


class AudioWarning(NamedTuple):
    """What whoever reads a prediction should know of audio that was accepted.

    Attributes:
        code: stable name:
            ``truncated`` (value: seconds that are missing), ``unknown_length`` (seconds that were
            there), ``header_size`` (bytes that the header is off), ``resampled_from`` (Hz),
            ``band_limited`` (kHz above which there is nothing), ``one_channel_of_two`` (which was
            taken), ``digital_silence`` (seconds of constant samples), ``clipped`` (share of
            samples at full scale), ``too_short`` (seconds), ``level`` (dBFS of the active parts).
        message: a sentence.
        value: the quantity that the code stands for.
    """

    code: str
    message: str
    value: float | str
