"""The result of an audit, as clients read it. It is added up by :mod:`models.audit.summary`."""

from typing import Any

from pydantic import Field

from models.audit.figure import Figure, Figures
from models.audit.measures.distortion import MedianDistortion
from models.audit.measures.flips import Flipped
from models.audit.measures.gaps import Gap
from models.audit.measures.smallest import Minimum


class Quality(Figures):
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


class Counts(Figures):
    """Clips by what the model said before and under the attack."""

    right_wrong: int = Field(description="Broken by the attack.", examples=[4])
    right_right: int = Field(examples=[18])
    wrong_right: int = Field(examples=[0])
    wrong_wrong: int = Field(examples=[2])


class Flips(Figures):
    """Clips without a label; null if there is none."""

    n: int
    flipped: int = Field(description="Whose prediction the attack changed.")
    flip_rate: float


class Clean(Quality):
    """How well the model does on the clips as they are."""

    measures: dict[str, Figure] = Field(
        default_factory=dict,
        description="UAR, accuracy and calibration, each with its interval, its n and its"
        " speakers.",
    )


class Control(Figures):
    """Noise of the same threat model and strength: what a change of this size does without an
    adversary. `measures.over_control` is the difference."""

    point: int = Field(description="Its place in `curve`, from 0.", examples=[3])
    n: int = Field(description="Clips that count for both.")
    only_attack: int = Field(description="Of those, clips that the attack alone breaks.")
    only_control: int = Field(description="Clips that the noise alone breaks.")
    p: float = Field(
        description="McNemar's exact two-sided p that these two numbers differ by chance. It takes"
        " clips for independent."
    )


class CurvePoint(Quality):
    """The model under one attack or corruption at one strength. Without clips scored, every figure
    is null."""

    attack: int = Field(description="Index in `attacks`.", examples=[0])
    strength: float = Field(description="In the unit that stands there.", examples=[0.02])
    n: int = Field(description="Clips scored at this point.", examples=[24])
    right_before: int = Field(
        description="Of the counted clips (the labelled ones, or all if none has a label), those"
        " that were right before: what the success rate is a share of.",
        examples=[22],
    )
    success_rate: float | None = Field(
        description="Clips on which the attack reached its goal over those that were right before;"
        " null if none was.",
        examples=[0.1818],
    )
    flip_rate: float | None = Field(
        description="Share of all clips whose prediction the attack changed, right or wrong."
    )
    measures: dict[str, Figure] = Field(
        description="These figures and others, each with its interval, its n and its speakers."
    )
    counts: Counts
    control: Control | None = Field(
        default=None, description="Null for a control, and where there is no such noise."
    )
    flips: Flipped | None = Field(
        default=None, description="Which emotions the attack drives predictions from and to."
    )
    no_direction: int = Field(
        description="Of all clips, those on which the attack had nothing to go by: so many may be"
        " weaker than the success rate says.",
        examples=[0],
    )
    has_target_label: int = Field(
        default=0, description="Clips with the target label, which were left alone and not counted."
    )
    mean_success_rate: float | None = Field(
        default=None,
        description="Of a control with several draws: the mean over the draws, where success_rate"
        " is that of the worst draw of each clip.",
    )
    unlabelled: Flips | None
    distortion: MedianDistortion | None
    survives_as_audio: float | None = Field(
        description="Share of the successful attacks on log-mels that the model still falls for"
        " when they are played as sound.",
        examples=[0.5],
    )
    played: int = Field(description="How many were.", examples=[4])
    snr_db: float | None = Field(
        description="Their median; of attacks on waveforms, the median over the clips.",
        examples=[32.4],
    )


class Threat(Figures):
    """What an attack may change, and how its strength counts."""

    domain: str = Field(description="Or `corruption`.", examples=["features"])
    norm: str = Field(description="`none` of a corruption.", examples=["linf"])
    unit: str = Field(examples=["sigma"])


class TotalCost(Figures):
    """Passes of all clips together, and the time that they took."""

    forwards: int
    backwards: int
    queries: int = Field(description="Forward passes of attacks that see scores alone.")
    seconds: float


class AttackOfResult(Figures):
    """One of the request's attacks or, behind them, of its corruptions; everything else refers to
    its index."""

    index: int
    type: str = Field(examples=["pgd"])
    parameters: dict[str, Any]
    threat: Threat
    control: bool = Field(
        description="Without an adversary: noise of the same size, or a corruption. It counts in no"
        " worst case."
    )
    atlas: list[str] = Field(
        default_factory=list,
        description="Ids of the techniques of MITRE ATLAS that it carries out; none of a control.",
        examples=[["AML.T0043.000", "AML.T0015"]],
    )
    cost: TotalCost


class WorstCase(Figures):
    """All attacks of a threat model together, each clip under whichever breaks it first."""

    threat: Threat
    strength: float = Field(description="Attacks no stronger than this are counted.")
    n: int
    right_before: int
    uar: float | None
    success_rate: float | None
    measures: dict[str, Figure] = Field(
        default_factory=dict,
        description="These figures and others, each with its interval, its n and its speakers.",
    )
    control: Control | None = Field(
        default=None, description="Noise of that threat model and strength; null without one."
    )
    broken_by: dict[str, int] = Field(
        description="Clips by the index of the attack that broke them first: the weakest strength"
        " counts before, then the order of the request."
    )


class Scale(Figures):
    """How much the clips vary, in the deviations that the model's configuration states and that an
    ε counts: about 1 if they are like what the model was trained on. One for each mel band."""

    lowest: float = Field(examples=[0.97])
    median: float = Field(examples=[1.05])
    highest: float = Field(examples=[1.21])


class WarnedClips(Figures):
    """What predictions of some of the clips warn of."""

    code: str = Field(examples=["digital_silence"])
    clips: int = Field(description="How many.", examples=[17])


class AuditSummary(Figures):
    """How robust the model is."""

    n: int = Field(description="Clips scored.", examples=[24])
    of: int = Field(description="Clips that were to be scored.", examples=[24])
    complete: bool = Field(
        description="False if the audit ended at its max_seconds before everything was scored."
    )
    n_unlabelled: int = Field(examples=[0])
    warnings: list[WarnedClips] | None = Field(
        default=None,
        description="What predictions of the scored clips warn of, by code: the figures are of such"
        " recordings. Null where it is not known, as in the rows.",
    )
    labels: list[str] = Field(examples=[["anger", "sadness"]])
    clean: Clean
    attacks: list[AttackOfResult]
    curve: list[CurvePoint]
    worst_case: list[WorstCase]
    minimum: list[Minimum] = Field(default_factory=list)
    gaps: list[Gap] = Field(
        default_factory=list,
        description="The largest differences between groups of clips, on the clips as they are and"
        " at each point of the curve. All groups stand in the report.",
    )
    cost: TotalCost
    scale: Scale
