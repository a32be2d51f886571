"""What an audit is asked for, and what it answers."""

from collections import Counter
from typing import Annotated, Any, Final, Literal, Self

from pydantic import Field, model_validator

from app.corpora.schemas import Partition
from app.schemas import Metadata, Schema
from app.trainings.schemas import Similarity, Vanilla
from models import audit

MAX_EPSILON: Final = 10.0
"""Standard deviations of a band: a hundred times the paper's largest, and no speech is left."""
MAX_EPSILONS: Final = 32
MAX_POINTS: Final = 64
"""Of one audit, all attacks together: each costs a pass through the network for every clip."""

Epsilon = Annotated[float, Field(ge=0, le=MAX_EPSILON, strict=True)]


class Fgsm(Schema):
    """Fast gradient sign method (Eq. 1-2 of the paper) at several strengths."""

    type: Literal["fgsm"]
    epsilon: list[Epsilon] = Field(
        min_length=1,
        max_length=MAX_EPSILONS,
        description="Strengths, in standard deviations of a mel band. One backward pass serves"
        " them all.",
        examples=[[0, 0.02, 0.04, 0.06, 0.08, 0.1]],
    )
    labels: Literal["true", "predicted"] = Field(
        default="true",
        description="What is attacked: the true label, or the model's own prediction, which cannot"
        " break what is wrong already and may repair it. A clip without a label is always attacked"
        " at the prediction.",
    )
    clip: float | None = Field(
        default=None, gt=0, le=MAX_EPSILON, description="η of Eq. 2: no value is changed by more."
    )

    @model_validator(mode="after")
    def _no_strength_twice(self) -> Self:
        twice = [value for value, times in Counter(self.epsilon).items() if times > 1]
        if twice:
            raise ValueError(f"epsilon holds {twice[0]:g} more than once: give each strength once")
        return self

    def to_attack(self) -> audit.Attack:
        """As the science core takes it."""
        return audit.Attack(tuple(self.epsilon), self.type, self.labels, self.clip)


class When(Schema):
    """What makes a model too weak."""

    epsilon: float = Field(
        gt=0, le=MAX_EPSILON, strict=True, description="One of the attacks'.", examples=[0.02]
    )
    success_rate_above: float = Field(ge=0, lt=1, examples=[0.3])


class Harden(Schema):
    """Train a hardened model if this one is too weak, and audit that with the same attacks."""

    defense: Annotated[Vanilla | Similarity, Field(discriminator="type")] = Field(
        examples=[{"type": "vanilla"}]
    )
    when: When
    iterations: int = Field(default=10_000, ge=1, le=10_000_000, description="Of the training.")
    batch_size: int = Field(default=16, ge=2, le=1024, description="Of the training.")


class _Attacks(Schema):
    """What all audits are asked for."""

    model: str = Field(max_length=64, examples=["cnn4-single-cremad"])
    attacks: list[Fgsm] = Field(min_length=1, max_length=8)
    seed: int = Field(default=0, ge=0, le=2**31 - 1, description="Of the draw that `limit` makes.")
    save_adversarial: bool = Field(
        default=True,
        strict=True,
        description="Keep some adversarial log-mels, and those that break the model as WAVs too.",
    )
    metadata: Metadata | None = Field(
        default=None,
        description="Notes of your own, returned as they came.",
        examples=[{"ticket": "QA-17"}],
    )

    @model_validator(mode="after")
    def _every_attack_once(self) -> Self:
        kinds = Counter((one.type, one.labels, one.clip) for one in self.attacks)
        twice = [kind for kind, times in kinds.items() if times > 1]
        if twice:
            raise ValueError(
                f"two attacks are {twice[0][0]} with {twice[0][1]} labels and clip {twice[0][2]}:"
                " give all strengths in one of them"
            )
        points = sum(len(one.epsilon) for one in self.attacks)
        if points > MAX_POINTS:
            raise ValueError(f"the attacks have {points} strengths together: give {MAX_POINTS}")
        return self

    def to_attacks(self) -> list[audit.Attack]:
        """As the science core takes them."""
        return [attack.to_attack() for attack in self.attacks]

    def to_request(self) -> dict[str, Any]:
        """What is stored as the job's input: every default spelt out."""
        return self.model_dump(mode="json", exclude={"metadata"})


class AuditRequest(_Attacks):
    """Audit a model on a partition of a corpus."""

    corpus: str = Field(max_length=64, examples=["corpus_01K9ZQ3W8M4V7T2X6B5N0C1DEF"])
    partition: Partition = "test"
    limit: int | None = Field(
        default=None,
        ge=1,
        le=1_000_000,
        description="Audit so many clips only, drawn with the partition's mixture of emotions.",
        examples=[200],
    )
    harden: Harden | None = Field(
        default=None,
        description="Train a hardened model if this one turns out too weak, and audit that too.",
        examples=[
            {
                "defense": {"type": "vanilla"},
                "when": {"epsilon": 0.02, "success_rate_above": 0.3},
            }
        ],
    )

    @model_validator(mode="after")
    def _harden_at_a_strength_that_is_tried(self) -> Self:
        if self.harden is None:
            return self
        tried = sorted({value for attack in self.attacks for value in attack.epsilon})
        if self.harden.when.epsilon not in tried:
            raise ValueError(
                f"harden.when.epsilon is {self.harden.when.epsilon:g}, which no attack tries: give"
                f" one of {', '.join(f'{value:g}' for value in tried)}, or add it to an attack"
            )
        return self


class UploadedAuditRequest(_Attacks):
    """Audit a model on uploaded clips: the `request` part of a form, beside the `file` parts."""

    labels: list[str | None] | None = Field(
        default=None,
        description="The clips' emotions in the order of the files, null where it is not known."
        " Without any, UAR is not reported, and success is a changed prediction.",
        examples=[["anger", None]],
    )


class Says(Schema):
    """What the model says of a clip."""

    label: str = Field(examples=["anger"])
    scores: dict[str, float] = Field(examples=[{"anger": 0.91, "sadness": 0.09}])


class Heard(Schema):
    """A successful attack played as sound: what the model says then, and how loud the change is."""

    label: str = Field(examples=["anger"])
    snr_db: float = Field(examples=[27.3])


class Attacked(Says):
    """What the model says of a clip that is attacked."""

    attack: str = Field(examples=["fgsm"])
    labels: str = Field(examples=["true"])
    clip: float | None
    epsilon: float = Field(examples=[0.02])
    success: bool | None = Field(description="null if the model was wrong before.")
    no_gradient: bool = Field(
        description="Whether the attack had nothing to go by: it moved nothing, or what it proposed"
        " was not finite. That it did not succeed then says nothing of the model."
    )
    audio: Heard | None = Field(description="Of a successful attack.")


class AuditRow(Schema):
    """One clip of an audit."""

    index: int = Field(description="Its place in the audit, for `after`.", examples=[0])
    clip: str = Field(examples=["AudioWAV/1001_DFA_ANG_XX.wav"])
    label: str | None = Field(examples=["anger"])
    clean: Says
    adversarial: list[Attacked]


class Artifact(Schema):
    """A file that an audit made."""

    name: str = Field(examples=["uar-curve.png"])
    media_type: str = Field(examples=["image/png"])
    description: str
    bytes: int
    sha256: str
    url: str = Field(
        default="",
        examples=["/v1/audits/audit_01K9ZQ3W8M4V7T2X6B5N0C1DEF/artifacts/uar-curve.png"],
    )
