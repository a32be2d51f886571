"""Level: another distance to the microphone, another setting of the recorder."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field
from torch import Generator, Tensor

from models.corruptions.corruption import CORRUPTIONS, Corruption, Few, Many

Decibels = Annotated[tuple[Annotated[float, Field(ge=-60, le=60)], ...], Few, Many]


@CORRUPTIONS.register
class Gain(Corruption):
    """Louder or quieter; what exceeds full scale is clipped, as a recorder does."""

    strength_name: ClassVar[str] = "db"
    unit: ClassVar[str] = "dB"
    either_way: ClassVar[bool] = True

    type: Literal["gain"] = "gain"
    db: Decibels = Field(
        description="Gains in dB, from -60 to 60. ROBUSER: -40 to 0.", examples=[[-20, -6, 6]]
    )

    def corrupt(self, waveform: Tensor, strength: float, generator: Generator) -> Tensor:
        """See :meth:`Corruption.corrupt`."""
        return (waveform * 10 ** (strength / 20)).clamp(-1.0, 1.0)
