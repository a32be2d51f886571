"""Dither: the last bits of a 16-bit recording, which nobody hears."""

from typing import Annotated, ClassVar, Final, Literal

import torch
from pydantic import Field
from torch import Generator, Tensor

from models.corruptions.corruption import CORRUPTIONS, Corruption, Few, Many

Steps = Annotated[tuple[Annotated[int, Field(ge=1, le=1024)], ...], Few, Many]
LSB: Final = 1.0 / 32_768
"""The step of 16-bit audio."""


@CORRUPTIONS.register
class Dither(Corruption):
    """Each sample moves by a whole number of 16-bit steps, uniform between -n and n."""

    strength_name: ClassVar[str] = "lsb"
    unit: ClassVar[str] = "LSB"

    type: Literal["dither"] = "dither"
    lsb: Steps = Field(
        description="The largest move, in steps (least significant bits) of 16-bit audio.",
        examples=[[4, 16]],
    )

    def corrupt(self, waveform: Tensor, strength: float, generator: Generator) -> Tensor:
        """See :meth:`Corruption.corrupt`."""
        most = int(strength)
        steps = torch.randint(-most, most + 1, waveform.shape, generator=generator)
        return waveform + LSB * steps.to(waveform)
