"""Band limits: what a lower sampling rate or a telephone line leaves of a voice."""

from functools import lru_cache
from typing import Annotated, ClassVar, Final, Literal

import numpy as np
import numpy.typing as npt
import torch
from pydantic import Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError
from torch import Generator, Tensor

from models.corruptions.corruption import CORRUPTIONS, Corruption, Few, Many
from models.corruptions.resampling import as_long_as, resample
from models.features import SAMPLE_RATE

Rates = Annotated[
    tuple[Annotated[int, Field(ge=2_000, le=15_900, multiple_of=100)], ...], Few, Many
]
TELEPHONE_RATE: Final = 8_000
TELEPHONE_HZ: Final = (300.0, 3_400.0)
"""ITU-T G.712."""
TAPS: Final = 257
"""Of the filter at 8 kHz: a transition of 100 Hz."""


@CORRUPTIONS.register
class Band(Corruption):
    """As if it had been recorded at a lower rate, or had come over the telephone, uncoded."""

    strength_name: ClassVar[str] = "rate_hz"
    unit: ClassVar[str] = "Hz"
    smaller_is_harder: ClassVar[bool] = True

    type: Literal["band"] = "band"
    rate_hz: Rates = Field(
        (TELEPHONE_RATE,),
        description="Sampling rates in Hz, multiples of 100: nothing above half of one is left.",
        examples=[[8000]],
    )
    kind: Literal["low_pass", "telephone"] = Field(
        "low_pass",
        description="telephone: 300 to 3400 Hz alone (ITU-T G.712), at a rate of 8000.",
    )

    @field_validator("kind")
    @classmethod
    def _a_telephone_has_its_rate(cls, value: str, info: ValidationInfo) -> str:
        rates = info.data.get("rate_hz", (TELEPHONE_RATE,))
        if value == "telephone" and rates != (TELEPHONE_RATE,):
            raise PydanticCustomError(
                "wrong_rate",
                "a telephone has a rate of {rate}: leave rate_hz out",
                {"rate": TELEPHONE_RATE},
            )
        return value

    def corrupt(self, waveform: Tensor, strength: float, generator: Generator) -> Tensor:
        """See :meth:`Corruption.corrupt`."""
        rate = int(strength)
        low = resample(waveform, SAMPLE_RATE, rate)
        if self.kind == "telephone":
            low = _telephone(low)
        return as_long_as(resample(low, rate, SAMPLE_RATE), len(waveform))


def _telephone(low: Tensor) -> Tensor:
    """Through a linear-phase filter at 8 kHz, (samples,)."""
    from scipy.signal import oaconvolve

    return torch.as_tensor(oaconvolve(low.numpy(), _taps(), mode="same"), dtype=torch.float32)


@lru_cache(maxsize=1)
def _taps() -> npt.NDArray[np.float64]:
    from scipy.signal import firwin

    return firwin(TAPS, TELEPHONE_HZ, pass_zero=False, fs=TELEPHONE_RATE)
