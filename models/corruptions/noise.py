"""Noise at a signal-to-noise ratio, taken over the whole clip.

| color | spectrum | in time |
|---|---|---|
| white | the same power in every hertz | steady |
| pink | 1/f: the same power in every octave | steady |
| babble | of speech (ITU-T P.50, Sec. 4.2, 100 Hz to 8 kHz) | modulated as by several talkers |

Babble is synthetic, and says no words: the sum of independent noises with the spectrum of speech,
each with its own envelope, which changes at syllables' pace (about 4 Hz: Houtgast & Steeneken, J.
Acoust. Soc. Am. 77, 1985). Such a sum is again a Gaussian noise, whose power is at each moment the
sum of theirs; so one noise is drawn, and the envelopes are added.
"""

import math
from functools import lru_cache
from typing import Annotated, ClassVar, Final, Literal

import torch
from pydantic import Field
from torch import Generator, Tensor
from torch.nn import functional

from models.corruptions.corruption import CORRUPTIONS, Corruption, Few, Many
from models.features import SAMPLE_RATE

Ratios = Annotated[tuple[Annotated[float, Field(ge=-20, le=120)], ...], Few, Many]
Color = Literal["white", "pink", "babble"]
TALKERS: Final = 6
ENVELOPE_HZ: Final = 8
"""Values of an envelope in a second: it follows changes of up to 4 Hz."""
LOWEST_HZ: Final = 20.0
"""Of pink noise, whose power would be infinite at 0 Hz."""
SPEECH_HZ: Final = (100.0, 8_000.0)
"""Where P.50 tells the spectrum of speech; nothing is outside."""


@CORRUPTIONS.register
class AdditiveNoise(Corruption):
    """White, pink or babble-like noise beside the voice."""

    strength_name: ClassVar[str] = "snr_db"
    unit: ClassVar[str] = "dB SNR"
    smaller_is_harder: ClassVar[bool] = True

    type: Literal["noise"] = "noise"
    snr_db: Ratios = Field(
        description="Signal-to-noise ratios in dB over the whole clip, from -20 to 120. Digital"
        " silence, which has none, stays as it is. ROBUSER: 0 to 30.",
        examples=[[30, 20, 10]],
    )
    color: Color = Field(
        "white", description="Of equal power in every hertz, in every octave, or as of talkers."
    )

    def corrupt(self, waveform: Tensor, strength: float, generator: Generator) -> Tensor:
        """See :meth:`Corruption.corrupt`."""
        noise = drawn(self.color, len(waveform), generator)
        return waveform + noise * factor_at(waveform, noise, strength)


def factor_at(waveform: Tensor, noise: Tensor, snr_db: float) -> float:
    """By which a noise, that is not silent, is at the SNR over the whole clip."""
    wanted = float(waveform.double().square().sum()) * 10 ** (-snr_db / 10)
    return math.sqrt(wanted / float(noise.double().square().sum()))


def drawn(color: Color, samples: int, generator: Generator) -> Tensor:
    """A noise of any level, (samples,) float32."""
    size = 1 << max(1, (samples - 1).bit_length())  # few sizes, and fast ones
    noise = torch.randn(size, generator=generator)
    if color == "babble":
        noise *= envelope(size, generator)
    if color != "white":
        shaped = torch.fft.rfft(noise) * magnitudes(color, size)
        noise = torch.fft.irfft(shaped, n=size)
    return noise[:samples]


@lru_cache(maxsize=8)
def magnitudes(color: Literal["pink", "babble"], size: int) -> Tensor:
    """What white noise of that length is multiplied by in the frequency domain, (size // 2 + 1,)
    float32."""
    hz = torch.arange(size // 2 + 1, dtype=torch.float64) * SAMPLE_RATE / size
    if color == "pink":
        found = torch.where(hz >= LOWEST_HZ, hz.clamp_min(LOWEST_HZ).rsqrt(), 0.0)
    else:
        low, high = SPEECH_HZ
        found = torch.where((hz >= low) & (hz <= high), _speech(hz.clamp(low, high)), 0.0)
    return found.float()


def _speech(hz: Tensor) -> Tensor:
    """The long-term average spectrum of speech as a factor of the amplitude (ITU-T P.50, Sec.
    4.2)."""
    decade = hz.log10()
    db = -376.44 + 465.439 * decade - 157.745 * decade**2 + 16.7124 * decade**3
    return 10 ** (db / 20)


def envelope(samples: int, generator: Generator) -> Tensor:
    """Of all talkers together, (samples,) float32, positive, mean square about 1."""
    values = samples * ENVELOPE_HZ // SAMPLE_RATE + 2
    powers = torch.randn(TALKERS, 2, values, generator=generator).square().mean(dim=(0, 1))
    smooth = functional.interpolate(
        powers[None, None], size=samples, mode="linear", align_corners=True
    )
    return smooth[0, 0].sqrt()
