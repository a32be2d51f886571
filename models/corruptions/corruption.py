"""What every corruption is: a list of strengths, parameters with their bounds, and how it sounds.

The kinds and levels follow the public benchmarks of speech emotion recognition: ROBUSER
(Behavioral Signal Technologies) with noise, rooms, clipping, level and MP3, and ser-tests
(audEERING; Derington et al., "Testing Correctness, Fairness, and Robustness of Speech Emotion
Recognition Models", 2023) with small changes that must not matter.

The rules:

- **Pure.** The waveform is not modified, and the answer is finite.
- **The generator alone.** All that is drawn comes from ``generator``, so that seed, clip and kind
  decide. Every strength of a clip has the same draws: a louder noise is the same noise.
- **Sound to sound.** The answer may be longer than the clip, and louder than full scale, as a float
  recording may; nothing is rounded to 16 bits.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Final, Literal, Protocol, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError
from torch import Generator, Tensor

from models.registry import Registry
from models.threats import Domain

MAX_STRENGTHS: Final = 32
"""Of one corruption."""


def _listed(value: object) -> object:
    if isinstance(value, list):
        return tuple(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return (value,)
    return value


Many = BeforeValidator(_listed)
"""For strengths, ``Annotated[tuple[…], Few, Many]``: JSON has lists alone, and one is a list of
one."""
Few = Field(min_length=1, max_length=MAX_STRENGTHS)
"""How many strengths there may be."""


@dataclass(frozen=True)
class Severity:
    """How the strengths of a corruption count: what a threat model says of an attack."""

    unit: str
    smaller_is_harder: bool
    either_way: bool = False

    def order(self, strength: float) -> float:
        """A sort key: the more a strength does, the larger."""
        size = abs(strength) if self.either_way else strength
        return -size if self.smaller_is_harder else size

    def to_dict(self) -> dict[str, str]:
        """As reports show it, beside threat models."""
        return {"domain": "corruption", "norm": "none", "unit": self.unit}


class Recordings(Protocol):
    """Recordings of a corpus, read one by one."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Tensor:
        """Samples of one of them, (n,) float32 at 16 kHz."""


class Corruption(BaseModel):
    """Base of all corruptions. A subclass declares ``type``, its parameters and :meth:`corrupt`.

    Parameters are strict: a number is no string, and true is no number.

    Class attributes:
        strength_name: the field that holds the strengths.
        unit: in which they count.
        smaller_is_harder: whether a smaller strength does more, as with an SNR.
        either_way: whether a strength does as much as its negative, as with a gain.
        domain, control, goal, minimum: as those of an attack, beside which an audit runs it: it
            changes the recording, has no adversary and no goal but another label, and its strengths
            are never searched.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False, validate_default=True
    )

    strength_name: ClassVar[str]
    unit: ClassVar[str]
    smaller_is_harder: ClassVar[bool] = False
    either_way: ClassVar[bool] = False

    domain: ClassVar[Domain] = "waveform"
    control: ClassVar[bool] = True
    goal: ClassVar[Literal["untargeted"]] = "untargeted"
    minimum: ClassVar[bool] = False

    type: str

    @field_validator("*")
    @classmethod
    def _each_strength_once(cls, value: object, info: ValidationInfo) -> object:
        if info.field_name != cls.strength_name or not isinstance(value, tuple):
            return value
        twice = [strength for strength, times in Counter(value).items() if times > 1]
        if twice:
            raise PydanticCustomError(
                "strength_twice",
                "holds {value} more than once: give each strength once",
                {"value": f"{twice[0]:g}"},
            )
        return value

    @property
    def strengths(self) -> tuple[float, ...]:
        """In :attr:`unit`, in the order of the request."""
        return tuple(map(float, getattr(self, self.strength_name)))

    @property
    def threat(self) -> Severity:
        """How its strengths count; no attack and no other unit is measured so."""
        return Severity(self.unit, self.smaller_is_harder, self.either_way)

    def parameters(self) -> dict[str, Any]:
        """What makes it this corruption, its strengths left out: JSON's types, defaults spelt
        out."""
        return self.model_dump(mode="json", exclude={"type", self.strength_name})

    def identity(self) -> str:
        """The same for two corruptions that differ in nothing but their strengths."""
        return f"{self.type} {self.parameters()}"

    @property
    def sources(self) -> tuple[str, ...]:
        """Corpora whose recordings it takes, by what the request calls them."""
        return ()

    def with_recordings(self, found: Mapping[str, Recordings]) -> Self:
        """The same corruption, ready to corrupt.

        Args:
            found: the recordings of each of :attr:`sources`.
        """
        return self

    def describe(self) -> str:
        """In words: its type and its parameters."""
        told = [f"{name} {value}" for name, value in self.parameters().items()]
        return ", ".join([self.type, *told])

    def corrupt(self, waveform: Tensor, strength: float, generator: Generator) -> Tensor:
        """The clip as it sounds afterwards.

        Args:
            waveform: (samples,) float32 at 16 kHz, full scale 1, on the CPU, at least one sample.
            strength: one of :attr:`strengths`, or another within their bounds.
            generator: of the CPU; every draw comes from it.

        Returns:
            (samples',) float32, finite.
        """
        raise NotImplementedError


CORRUPTIONS: Final[Registry[Corruption]] = Registry("corruption")
"""What an audit or a training can do to speech, by type."""

AnyCorruption = Annotated[Corruption, CORRUPTIONS]
"""A corruption in a request: the discriminated union of all that are registered."""


def parse(value: object) -> Corruption:
    """The corruption that a mapping describes; see :meth:`models.registry.Registry.parse`."""
    return CORRUPTIONS.parse(value)


__all__ = [
    "CORRUPTIONS",
    "MAX_STRENGTHS",
    "AnyCorruption",
    "Corruption",
    "Few",
    "Many",
    "Recordings",
    "Severity",
    "parse",
]
