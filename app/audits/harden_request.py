"""What a request says of hardening: when a model is too weak, and how it is trained then."""

from collections.abc import Mapping
from typing import Self

from pydantic import Field, field_validator, model_validator

from app.schemas import Schema, at
from models.attacks import AnyAttack
from models.defenses import DEFENSES, AnyDefense, Defense
from models.threats import Domain, Norm, ThreatModel


class When(Schema):
    """What makes a model too weak: that the worst case of all attacks together, at no more than a
    strength, breaks too many clips or leaves too little UAR, with its whole interval."""

    domain: Domain = Field(default="features", description="Of the attacks that count.")
    norm: Norm = Field(default="linf", description="Likewise; l2 if `snr_db` is given.")
    epsilon: float | None = Field(
        default=None, gt=0, strict=True, description="The strength.", examples=[0.02]
    )
    snr_db: float | None = Field(
        default=None, ge=0, strict=True, description="The same, of waveforms with norm l2."
    )
    success_rate_above: float | None = Field(
        default=None,
        ge=0,
        lt=1,
        description="Too many: the interval of the success rate begins above it.",
        examples=[0.3],
    )
    uar_below: float | None = Field(
        default=None,
        gt=0,
        le=1,
        description="Too little: the interval of the UAR ends below it. With both, either will do.",
    )

    @model_validator(mode="before")
    @classmethod
    def _an_snr_is_of_l2(cls, values: object) -> object:
        if (
            isinstance(values, Mapping)
            and "norm" not in values
            and values.get("snr_db") is not None
        ):
            return dict(values) | {"norm": "l2"}
        return values

    @model_validator(mode="after")
    def _a_strength_of_its_threat_model(self) -> Self:
        threat = self.threat
        wanted = threat.strength_name
        other = "snr_db" if wanted == "epsilon" else "epsilon"
        if getattr(self, other) is not None:
            raise at(
                (other,),
                "wrong_unit",
                f"does not measure {self.domain} with norm {self.norm}: give {wanted}"
                + (", or domain waveform" if self.domain == "features" else ""),
                getattr(self, other),
            )
        if getattr(self, wanted) is None:
            raise at((wanted,), "missing", f"is missing: give {wanted}")
        if self.strength > threat.largest:
            raise at(
                (wanted,),
                "too_large",
                f"is more than is accepted: give at most {threat.largest:g} {threat.unit}",
                self.strength,
            )
        return self

    @model_validator(mode="after")
    def _a_bound(self) -> Self:
        if self.success_rate_above is None and self.uar_below is None:
            raise at(("success_rate_above",), "missing", "is missing: give it, or uar_below")
        return self

    @property
    def threat(self) -> ThreatModel:
        """Of which attacks count."""
        return ThreatModel(self.domain, self.norm)

    @property
    def strength(self) -> float:
        """In the unit of that threat model."""
        found: float = getattr(self, self.threat.strength_name)
        return found


class Harden(Schema):
    """Train a hardened model if this one is too weak, and audit that with the same attacks."""

    defense: AnyDefense = Field(examples=[{"type": "vanilla"}])
    when: When
    epsilon: float | None = Field(
        default=None,
        gt=0,
        le=10,
        strict=True,
        description="Radius that the training crafts adversarial log-mels with; that of `when` if"
        " it is one of log-mels, else 0.02.",
    )
    attack: AnyAttack | None = Field(
        default=None, description="What the training crafts them with; FGSM if not given."
    )
    iterations: int = Field(default=10_000, ge=1, le=10_000_000, description="Of the training.")
    batch_size: int = Field(default=16, ge=2, le=1024, description="Of the training.")

    @field_validator("defense")
    @classmethod
    def _a_defense(cls, defense: Defense) -> Defense:
        if defense.inputs == "clean":
            others = [name for name in DEFENSES if DEFENSES[name].inputs != "clean"]
            raise at(
                ("type",),
                "no_defense",
                f"trains on clean data alone and hardens nothing: give one of {', '.join(others)}",
                defense.type,
            )
        return defense
