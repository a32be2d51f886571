"""Clipping: a microphone or an amplifier that was driven too hard."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field
from torch import Generator, Tensor

from models.corruptions.corruption import CORRUPTIONS, Corruption, Few, Many

Shares = Annotated[tuple[Annotated[float, Field(gt=0, le=0.95)], ...], Few, Many]


@CORRUPTIONS.register
class Clipping(Corruption):
    """The loudest samples are cut to one level; the others stay as they are."""

    strength_name: ClassVar[str] = "share"
    unit: ClassVar[str] = "of samples"

    type: Literal["clipping"] = "clipping"
    share: Shares = Field(
        description="Shares of the samples that are clipped, up to .95; exact zeros are not"
        " counted, since they cannot be. ROBUSER: .2 to .6.",
        examples=[[0.2, 0.4, 0.6]],
    )

    def corrupt(self, waveform: Tensor, strength: float, generator: Generator) -> Tensor:
        """See :meth:`Corruption.corrupt`."""
        sizes = waveform.abs()
        heard = sizes[sizes > 0]
        kept = round((1 - strength) * len(heard))
        if not kept:
            return waveform.clone()
        level = float(heard.kthvalue(kept).values)
        return waveform.clamp(-level, level)
