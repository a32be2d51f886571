"""The evidence of an audit: what the model says of each clip, before and under every attack.

A row is one clip. All figures of a result are added up from the rows, and can be added up again
from the rows' file alone. Attacks are named by their index in the request;
corruptions, which are rows of the same kind, go on counting behind them.
"""

from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field

from models.victims import Cost

DIGITS: Final = 6
"""Of a score: what float32 holds of a probability."""


class Evidence(BaseModel):
    """Base of what rows are made of."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Detection(Evidence):
    """What the model's detector says of a clip."""

    adversarial_score: float = Field(
        description="How much its most suspicious window looks attacked.", examples=[0.97]
    )
    alarm: bool = Field(description="Whether that is above the detector's threshold.")


def _is_none(value: object) -> bool:
    return value is None


class ClipPrediction(Evidence):
    """What the model says of a clip."""

    label: str = Field(examples=["anger"])
    scores: dict[str, float] = Field(examples=[{"anger": 0.91, "sadness": 0.09}])
    detection: Detection | None = Field(
        default=None,
        exclude_if=_is_none,
        description="Of an audit that was asked for with `detector`; absent otherwise.",
    )


class Distortion(Evidence):
    """How large a change was, measured on what was scored."""

    linf: float = Field(
        description="Largest change: of log-mels in σ of a band, of a waveform of full scale."
    )
    l2: float = Field(description="Euclidean norm of the change, in the same unit.")
    snr_db: float | None = Field(
        description="Energy of the clip over that of the change; null for log-mels."
    )
    band_db: float = Field(
        description="Root mean square of the change, in dB, of the band that has the largest: of"
        " what the front end gives for log-mels, of the log-mels themselves for waveforms."
    )


class CostSpent(Evidence):
    """Passes through the model."""

    forwards: int
    backwards: int
    queries: int = Field(description="Forward passes of an attack that sees scores alone.")

    @classmethod
    def of(cls, cost: Cost) -> "CostSpent":
        """What a meter counted."""
        return cls(**cost.to_dict())

    def passes(self) -> Cost:
        """As a meter counts them."""
        return Cost(self.forwards, self.backwards, self.queries)


class Resynthesised(Evidence):
    """A successful attack on log-mels, played as sound and heard again by the model."""

    label: str = Field(examples=["anger"])
    snr_db: float = Field(examples=[27.3])


class AttackedPrediction(ClipPrediction):
    """What the model says of a clip under one attack or corruption at one strength."""

    attack: int = Field(description="Index in the result's `attacks`.", examples=[0])
    strength: float = Field(description="In the unit that stands there.", examples=[0.02])
    success: bool | None = Field(
        description="Whether the attack reached its goal; null if the model was wrong before, or"
        " the clip has the target label already."
    )
    no_direction: bool = Field(
        description="Whether the attack had nothing to go by: it moved nothing although it might"
        " have, or what it proposed was not finite. That it did not succeed then says nothing of"
        " the model."
    )
    distortion: Distortion | None = Field(
        description="Null for a corruption, which may change the length of the clip."
    )
    cost: CostSpent
    audio: Resynthesised | None = Field(
        default=None, description="Of a successful attack on log-mels whose recording is at hand."
    )
    details: dict[str, Any] = Field(
        default_factory=dict, description="What else the attack has to say of the clip."
    )


class SmallestStrength(Evidence):
    """The smallest strength at which an attack was found to break a clip."""

    attack: int
    strength: float | None = Field(
        description="null if the strongest did not, or the model was wrong before."
    )
    cost: CostSpent = Field(description="Of the search alone.")


class AuditRow(Evidence):
    """One clip of an audit."""

    index: int = Field(description="Its place in the audit, for `after`.", examples=[0])
    clip: str = Field(examples=["AudioWAV/1001_DFA_ANG_XX.wav"])
    label: str | None = Field(examples=["anger"])
    speaker: str | None = Field(examples=["1001"])
    gender: str | None = Field(examples=["f"])
    group: str | None = Field(
        default=None, description="Its value in the request's `group_by` column.", examples=["ieo"]
    )
    duration_s: float = Field(examples=[2.27])
    warnings: list[str] | None = Field(
        default=None,
        description="Codes of the warnings that a prediction of the clip has. Null where they are"
        " not known: the corpus is older than they are, and its recordings are not at hand.",
        examples=[["digital_silence", "level"]],
    )
    clean: ClipPrediction
    attacked: list[AttackedPrediction] = Field(
        description="By attack and strength, in the order of the request. Of an audit that ended"
        " at max_seconds, those that were reached."
    )
    minimum: list[SmallestStrength] = Field(default_factory=list)

    @property
    def truth(self) -> str:
        """The label, or the model's own clean prediction where there is none."""
        return self.clean.label if self.label is None else self.label

    @property
    def right_before(self) -> bool:
        """Whether the model is right on the clean clip; always so without a label."""
        return self.clean.label == self.truth
