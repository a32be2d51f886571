"""Background noise: recordings of a corpus beside the voice, such as streets and machines."""

from collections.abc import Mapping
from typing import ClassVar, Literal, Self

import torch
from pydantic import Field, PrivateAttr
from torch import Generator, Tensor

from models.corruptions.corruption import CORRUPTIONS, Corruption, Recordings
from models.corruptions.noise import Ratios, factor_at


@CORRUPTIONS.register
class Background(Corruption):
    """One of a corpus's recordings beside the voice; seed and clip decide which, and from where."""

    strength_name: ClassVar[str] = "snr_db"
    unit: ClassVar[str] = "dB SNR"
    smaller_is_harder: ClassVar[bool] = True

    type: Literal["background"] = "background"
    corpus: str = Field(
        min_length=1,
        max_length=64,
        description="A corpus of noises: all of its clips, whatever they are labelled, may be"
        " drawn. One that is shorter than the voice is repeated.",
        examples=["corpus_01K9ZQ3W8M4V7T2X6B5N0C1DEF"],
    )
    snr_db: Ratios = Field(
        description="Signal-to-noise ratios in dB over the whole clip, from -20 to 120. Digital"
        " silence, which has none, stays as it is. ROBUSER: 0 to 30.",
        examples=[[30, 20, 10, 0]],
    )
    _recordings: Recordings | None = PrivateAttr(default=None)

    @property
    def sources(self) -> tuple[str, ...]:
        """See :attr:`Corruption.sources`."""
        return (self.corpus,)

    def with_recordings(self, found: Mapping[str, Recordings]) -> Self:
        """See :meth:`Corruption.with_recordings`."""
        ready = self.model_copy()
        ready._recordings = found[self.corpus]  # noqa: SLF001 (of one like this)
        return ready

    def corrupt(self, waveform: Tensor, strength: float, generator: Generator) -> Tensor:
        """See :meth:`Corruption.corrupt`.

        Raises:
            ValueError: the corpus's recordings were not given.
        """
        if self._recordings is None:
            raise ValueError(
                f"the recordings of {self.corpus} are not at hand: give them to with_recordings"
            )
        drawn = int(torch.randint(len(self._recordings), (), generator=generator))
        noise = excerpt(self._recordings[drawn], len(waveform), generator)
        if not bool(noise.any()):
            return waveform.clone()
        return waveform + noise * factor_at(waveform, noise, strength)


def excerpt(noise: Tensor, samples: int, generator: Generator) -> Tensor:
    """So many samples of a noise, (samples,): from anywhere in it, or if it is shorter all of it,
    again and again. Where there is nothing but zeros, from its loudest sample on."""
    ends = len(noise) - samples + 1
    first = int(torch.randint(ends if ends > 1 else len(noise), (), generator=generator))
    found = _from(noise, first, samples)
    return found if bool(found.any()) else _from(noise, int(noise.abs().argmax()), samples)


def _from(noise: Tensor, first: int, samples: int) -> Tensor:
    return noise.roll(-first).repeat(-(-samples // len(noise)))[:samples]
