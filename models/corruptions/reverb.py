"""Reverberation: the voice in a room, by Polack's statistical model.

The impulse response of a room is the direct sound and then Gaussian noise that decays
exponentially, by 60 dB in the reverberation time (Polack, "La transmission de l'énergie sonore dans
les salles", 1988; Habets, "Single- and multi-microphone speech dereverberation using spectral
enhancement", 2007, Sec. 2.2 and Eq. 2.16):

    h(t) = δ(t) + a b(t) exp(−3 ln(10) t / RT60),     b white noise, a from the
                                                      direct-to-reverberant ratio
"""

import math
from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field
from scipy.fft import next_fast_len
from torch import Generator, Tensor

from models.corruptions.corruption import CORRUPTIONS, Corruption, Few, Many
from models.features import SAMPLE_RATE

Seconds = Annotated[tuple[Annotated[float, Field(ge=0.05, le=10)], ...], Few, Many]


@CORRUPTIONS.register
class Reverb(Corruption):
    """A room with a synthetic impulse response; the energy and the length of the clip stay."""

    strength_name: ClassVar[str] = "rt60_seconds"
    unit: ClassVar[str] = "s RT60"

    type: Literal["reverb"] = "reverb"
    rt60_seconds: Seconds = Field(
        description="Reverberation times in seconds, in which sound decays by 60 dB: .3 a living"
        " room, 1 a lecture hall, 3 a church. ROBUSER: .1 to 1.5.",
        examples=[[0.3, 0.75, 1.25]],
    )
    drr_db: float = Field(
        0.0,
        ge=-30,
        le=30,
        description="Direct-to-reverberant energy ratio in dB: smaller is farther away.",
    )

    def corrupt(self, waveform: Tensor, strength: float, generator: Generator) -> Tensor:
        """See :meth:`Corruption.corrupt`."""
        response = impulse_response(strength, self.drr_db, generator)[: len(waveform)]
        size = next_fast_len(len(waveform) + len(response) - 1, real=True)
        spectrum = torch.fft.rfft(waveform, n=size) * torch.fft.rfft(response, n=size)
        heard = torch.fft.irfft(spectrum, n=size)[: len(waveform)]
        before, after = (float(one.double().square().sum()) for one in (waveform, heard))
        return heard * math.sqrt(before / after) if after else waveform.clone()


def impulse_response(rt60_seconds: float, drr_db: float, generator: Generator) -> Tensor:
    """Of a room, (samples,) float32 at 16 kHz, until it has decayed by 60 dB.

    Args:
        rt60_seconds: its reverberation time.
        drr_db: energy of the direct sound over that of all else, in dB.
    """
    samples = math.ceil(rt60_seconds * SAMPLE_RATE)
    decay = torch.exp(-3 * math.log(10) / (rt60_seconds * SAMPLE_RATE) * torch.arange(samples))
    tail = torch.randn(samples, generator=generator) * decay
    wanted = 10 ** (-drr_db / 10)
    tail *= math.sqrt(wanted / float(tail.double().square().sum()))
    return torch.cat([torch.ones(1), tail])
