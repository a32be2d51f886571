"""The result of an audit, as clients read it. It is made by `models.audit.summarize`."""

from pydantic import Field

from app.audits.schemas import When
from app.schemas import Schema


class Quality(Schema):
    """How well the model does on the clips that have a label; null if none has one."""

    uar: float | None = Field(description="Unweighted average recall.", examples=[0.75])
    accuracy: float | None = Field(examples=[0.75])
    recall: dict[str, float | None] | None = Field(
        description="Of each emotion; null for one without clips.",
        examples=[{"anger": 1.0, "sadness": 0.25}],
    )
    confusion: list[list[int]] | None = Field(
        description="Clips: a row for each true emotion, a column for each predicted one, in the"
        " order of `labels`. Null for more than 64 emotions.",
        examples=[[[4, 0], [3, 1]]],
    )


class Counts(Schema):
    """Clips by what the model said before and under the attack."""

    right_wrong: int = Field(description="Broken by the attack.", examples=[4])
    right_right: int = Field(examples=[18])
    wrong_right: int = Field(examples=[0])
    wrong_wrong: int = Field(examples=[2])


class Flips(Schema):
    """Clips without a label among others that have one."""

    n: int
    flipped: int = Field(description="Whose prediction the attack changed.")
    flip_rate: float


class CurvePoint(Quality):
    """The model under one attack at one strength."""

    attack: str = Field(examples=["fgsm"])
    labels: str = Field(examples=["true"])
    clip: float | None
    epsilon: float = Field(examples=[0.02])
    success_rate: float | None = Field(
        description="Broken clips over those that were right before; null if none was.",
        examples=[0.1818],
    )
    counts: Counts
    no_gradient: int = Field(
        description="Of all clips, those on which the attack had nothing to go by: so many may be"
        " weaker than the success rate says.",
        examples=[0],
    )
    unlabelled: Flips | None
    survives_as_audio: float | None = Field(
        description="Share of the successful attacks that the model still falls for when they are"
        " played as sound.",
        examples=[0.5],
    )
    played: int = Field(description="How many were.", examples=[4])
    snr_db: float | None = Field(description="Their median.", examples=[32.4])


class Hardening(Schema):
    """What `harden` came to."""

    when: When
    success_rate: float | None
    triggered: bool
    training: str | None = Field(examples=["train_01K9ZQ3W8M4V7T2X6B5N0C1DEF"])
    audit: str | None = Field(description="Of the new model, once it is queued.")


class Scale(Schema):
    """How much the clips vary, in the deviations that the model's configuration states and that an
    ε counts: about 1 if they are like what the model was trained on. One for each mel band."""

    lowest: float = Field(examples=[0.97])
    median: float = Field(examples=[1.05])
    highest: float = Field(examples=[1.21])


class AuditResult(Schema):
    """How robust the model is."""

    n: int = Field(description="Clips.", examples=[24])
    n_unlabelled: int = Field(examples=[0])
    labels: list[str] = Field(examples=[["anger", "sadness"]])
    clean: Quality
    curve: list[CurvePoint]
    scale: Scale | None = Field(default=None, description="Null in audits of older versions.")
    hardening: Hardening | None = None
