"""Speech codecs: the telephone's (ITU-T G.711), and the two that recordings are sent with.

| name | at | bit rates, kbit/s | by |
|---|---|---|---|
| mulaw, alaw | 8 kHz | 64 | the segments of G.711, Tables 1 and 2, written out |
| mp3 | 16 kHz | those of MPEG-2 Layer III, constant | libsndfile with LAME and mpg123 |
| opus | 16 kHz | 6 to 256, on average | libsndfile with libopus |

What mu-law does beside the lower rate, the corruption ``band`` at 8000 Hz tells.
"""

import io
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Final, Literal

import torch
from pydantic import Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError
from torch import Generator, Tensor

from models.corruptions.corruption import CORRUPTIONS, Corruption, Few, Many
from models.corruptions.resampling import as_long_as, resample
from models.features import SAMPLE_RATE

Bitrates = Annotated[tuple[Annotated[int, Field(ge=6, le=256)], ...], Few, Many]
Name = Literal["mulaw", "alaw", "mp3", "opus"]
MP3_KBPS: Final = (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
"""Of MPEG-2 Layer III, which 16 kHz belongs to (ISO/IEC 13818-3)."""
OPUS_KBPS: Final = (6, 256)
"""What libsndfile asks libopus for, at the extremes of its compression level."""
G711_RATE: Final = 8_000
LEAST_QUALITY: Final = 0.999
"""LAME refuses a compression level of 1, and takes the bit rate that is nearest."""
MP3_DELAY: Final = 576 + 529
"""Samples that LAME's encoder and a decoder put before the clip. Below 40 kbit/s a frame has no
room for the header that tells a decoder to leave them out."""
DEFAULTS: Final[Mapping[str, tuple[int, ...]]] = {
    "mulaw": (64,),
    "alaw": (64,),
    "mp3": (32,),
    "opus": (16,),
}


@CORRUPTIONS.register
class Codec(Corruption):
    """Encoded and decoded again."""

    strength_name: ClassVar[str] = "kbps"
    unit: ClassVar[str] = "kbit/s"
    smaller_is_harder: ClassVar[bool] = True

    type: Literal["codec"] = "codec"
    name: Name = Field(description="mulaw and alaw (telephone, 8 kHz), mp3 or opus.")
    kbps: Bitrates = Field(
        default_factory=lambda known: DEFAULTS.get(known.get("name", ""), (64,)),
        description="Bit rates in kbit/s. mulaw and alaw: 64, the default. mp3: "
        f"{', '.join(map(str, MP3_KBPS))}; default 32. opus: {OPUS_KBPS[0]} to {OPUS_KBPS[1]};"
        " default 16. ROBUSER: mp3 at 8, 16 and 32.",
        examples=[[8, 16, 32]],
    )

    @field_validator("kbps")
    @classmethod
    def _that_the_codec_has(cls, value: tuple[int, ...], info: ValidationInfo) -> tuple[int, ...]:
        name = info.data.get("name")
        allowed = {"mp3": MP3_KBPS, "mulaw": (64,), "alaw": (64,)}.get(str(name))
        wrong = [one for one in value if allowed is not None and one not in allowed]
        if wrong and allowed is not None:
            raise PydanticCustomError(
                "wrong_bit_rate",
                "{name} has no {value} kbit/s: give {allowed}",
                {"name": name, "value": wrong[0], "allowed": ", ".join(map(str, allowed))},
            )
        return value

    def corrupt(self, waveform: Tensor, strength: float, generator: Generator) -> Tensor:
        """See :meth:`Corruption.corrupt`."""
        if self.name in {"mulaw", "alaw"}:
            low = resample(waveform, SAMPLE_RATE, G711_RATE)
            coded = mulaw(low) if self.name == "mulaw" else alaw(low)
            return as_long_as(resample(coded, G711_RATE, SAMPLE_RATE), len(waveform))
        return through_a_file(waveform, self.name, strength)


def mulaw(waveform: Tensor) -> Tensor:
    """Through eight bits by μ-law: 14 bits of which the nearest of 255 steps stays (G.711, Table
    2)."""
    size = (waveform.abs() * 8_192).round().clamp_max(8_158)
    return _signed(waveform, _in_segments(size + 33) - 33) / 8_192


def alaw(waveform: Tensor) -> Tensor:
    """Through eight bits by A-law: 13 bits of which the nearest of 256 steps stays (G.711, Table
    1)."""
    size = (waveform.abs() * 4_096).floor().clamp_max(4_095)
    return _signed(waveform, _in_segments(size)) / 4_096


def _in_segments(size: Tensor) -> Tensor:
    """The middles of the steps: from 32 on, each octave has 16; below 64 they are 2 wide."""
    octave = torch.frexp(size.clamp_min(32)).exponent
    step = torch.ldexp(torch.ones_like(size), octave - 5)
    return (size / step).floor() * step + step / 2


def _signed(waveform: Tensor, size: Tensor) -> Tensor:
    return torch.where(waveform < 0, -size, size)


def through_a_file(waveform: Tensor, name: Name, kbps: float) -> Tensor:
    """Written as MP3 or Opus and read back, as long as it was."""
    import soundfile  # not above: a bare GPU machine may lack it

    lowest, highest = (MP3_KBPS[0], MP3_KBPS[-1]) if name == "mp3" else OPUS_KBPS
    level = (highest - kbps) / (highest - lowest)
    options: dict[str, Any] = {"compression_level": min(level, LEAST_QUALITY)}
    if name == "mp3":
        options |= {"format": "MP3", "subtype": "MPEG_LAYER_III", "bitrate_mode": "CONSTANT"}
    else:
        options |= {"format": "OGG", "subtype": "OPUS"}
    with io.BytesIO() as file:
        soundfile.write(file, waveform.clamp(-1, 1).numpy(), SAMPLE_RATE, **options)
        file.seek(0)
        read, _ = soundfile.read(file, dtype="float32")
    delayed = name == "mp3" and len(read) > len(waveform)
    return as_long_as(torch.from_numpy(read[MP3_DELAY if delayed else 0 :]), len(waveform))
