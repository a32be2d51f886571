"""Digital silence: what noise gates, text-to-speech and padding leave, samples of exactly zero."""

from typing import Annotated, ClassVar, Final, Literal

import torch
from pydantic import Field
from torch import Generator, Tensor

from models.corruptions.corruption import CORRUPTIONS, Corruption, Few, Many
from models.features import SAMPLE_RATE

Seconds = Annotated[tuple[Annotated[float, Field(gt=0, le=10)], ...], Few, Many]
Place = Literal["before", "inside", "behind"]
PLACES: Final[tuple[Place, ...]] = ("before", "inside", "behind")


@CORRUPTIONS.register
class Silence(Corruption):
    """Exact zeros are put in: the clip becomes longer, and nothing of it is lost."""

    strength_name: ClassVar[str] = "seconds"
    unit: ClassVar[str] = "s"

    type: Literal["silence"] = "silence"
    seconds: Seconds = Field(
        description="Lengths of the silence in seconds, up to 10.", examples=[[0.3]]
    )
    where: Place | Literal["anywhere"] = Field(
        "anywhere",
        description="Before the clip, behind it, or inside at a random sample; anywhere draws one"
        " of the three for each clip.",
    )

    def corrupt(self, waveform: Tensor, strength: float, generator: Generator) -> Tensor:
        """See :meth:`Corruption.corrupt`."""
        where, samples = self.where, len(waveform)
        if where == "anywhere":
            where = PLACES[int(torch.randint(len(PLACES), (), generator=generator))]
        inside = int(torch.randint(1, max(2, samples), (), generator=generator))
        place = {"before": 0, "inside": inside, "behind": samples}[where]
        zeros = waveform.new_zeros(max(1, round(strength * SAMPLE_RATE)))
        return torch.cat([waveform[:place], zeros, waveform[place:]])
