"""What a study is asked for, and what it answers.

What is trained is a `models.studies.grid.Grid`: its fields are declared there, and only there.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final, Literal, Self

from pydantic import Discriminator, Field, Tag, ValidationError, model_validator

from app.audits.schemas import MAX_ATTACKS, MAX_CORRUPTIONS, AuditRequest
from app.defaults import FRONT_END
from app.jobs.schemas import path_of
from app.jobs.states import JobKind
from app.schemas import Metadata, Name, Schema, at
from app.studies.cells import CellState
from app.studies.tables import TaskStatus
from models.architectures import Architecture
from models.attacks import AnyAttack, Attack, Listed
from models.attacks.fgsm import Fgsm
from models.attacks.noise import Noise
from models.attacks.pgd import Pgd
from models.corruptions import AnyCorruption
from models.presets import PresetName
from models.presets import described as described_presets
from models.studies.expansion import spelt_out
from models.studies.grid import MAX_ENTRIES, Grid, Seed
from models.studies.trainings import AnyStudyTraining
from models.victims import Windows

Partition = Literal["dev", "test"]
PGD_STEPS: Final = 10
MODEL: Final = "model"
"""Stands for a cell's model in a request that is only checked."""


def _preset_or_attacks(value: object) -> str:
    return "preset" if isinstance(value, str) else "attacks"


PresetOrAttacks = Annotated[
    Annotated[PresetName, Tag("preset")]
    | Annotated[list[AnyAttack], Field(max_length=MAX_ATTACKS), Tag("attacks")],
    Discriminator(_preset_or_attacks),
]
"""What models are audited with: a name, or attacks. A fault in one is told as one of that."""


class StudyRequest(Schema, Grid):
    """A grid of trainings on one corpus, and the audits of each model. Only `corpus` must be
    given."""

    corpus: str = Field(max_length=64, examples=["corpus_01K9ZQ3W8M4V7T2X6B5N0C1DEF"])
    audits: PresetOrAttacks | None = Field(
        default=None,
        description="What each model is audited with: attacks, of which those without `epsilon`"
        " have the study's, or a preset of audits. Without it: FGSM, PGD with ten steps, and noise"
        " of the same sizes, at the study's `epsilons`. Models trained on `train` are audited on"
        f" dev and test, all others on test. {described_presets()}",
        examples=[[{"type": "fgsm"}, {"type": "pgd", "steps": 10}, {"type": "noise"}]],
    )
    corruptions: list[AnyCorruption] = Field(
        default_factory=list,
        max_length=MAX_CORRUPTIONS,
        description="What happens to speech by nature, in the same audits.",
    )
    windows: Windows | None = Field(
        default=None,
        description="As in an audit; `first`, as in the paper, or what the preset of the audits"
        " says.",
    )
    limit: int | None = Field(
        default=None,
        ge=1,
        le=1_000_000,
        description="Audit so many clips of a partition only.",
    )
    transfer: bool | None = Field(
        default=None,
        description="Whether each model is also attacked by way of the others: PGD with ten steps"
        " at the middle of `epsilons`, once for each architecture and training, on test. True if"
        " there are two.",
    )
    name: Name | None = Field(default=None, examples=["Table 2, CREMA-D"])
    metadata: Metadata | None = Field(
        default=None,
        description="Notes of your own, returned as they came, and given to each job of the study.",
        examples=[{"paper": "icassp2020"}],
    )

    @model_validator(mode="before")
    @classmethod
    def _as_a_training_hears(cls, values: object) -> object:
        """Without a preset, the front end is the one that a training has by default."""
        recipe = values.get("recipe", {}) if isinstance(values, Mapping) else None
        if not isinstance(values, Mapping) or not isinstance(recipe, Mapping):
            return values
        if values.get("preset") is not None:
            return values
        return {**values, "recipe": {"front_end": FRONT_END, **recipe}}

    @model_validator(mode="after")
    def _audits_that_hold(self) -> Self:
        try:
            self.audit("test")
        except ValidationError as refused:
            fault = refused.errors()[0]
            first, *rest = fault["loc"] or ("attacks",)
            field = ("audits" if first == "attacks" else str(first), *rest)
            raise at(field, fault["type"], fault["msg"], fault["input"]) from refused
        return self

    def audit(self, partition: Partition) -> AuditRequest:
        """The audit of a model of the study, which is called `MODEL`."""
        given: dict[str, Any] = {
            "model": MODEL,
            "corpus": self.corpus,
            "partition": partition,
            "limit": self.limit,
            "corruptions": [one.model_dump(mode="json") for one in self.corruptions],
            "save_adversarial": False,
        }
        if isinstance(self.audits, str):
            chosen: dict[str, Any] = {"preset": self.audits}
        else:
            attacks = _default_attacks() if self.audits is None else self.audits
            dumped = [self._with_strengths(one).model_dump(mode="json") for one in attacks]
            chosen = {"attacks": dumped, "windows": "first"}
        own = {} if self.windows is None else {"windows": self.windows}
        return AuditRequest.model_validate(given | chosen | own)

    def _with_strengths(self, attack: Attack) -> Attack:
        if attack.needs_strengths != "epsilon":
            return attack
        dumped = attack.model_dump(mode="json") | {"epsilon": list(self.epsilons)}
        return type(attack).model_validate(dumped)

    @property
    def middle_epsilon(self) -> float:
        """The strength at which attacks are tried on other models."""
        return sorted(self.epsilons)[len(self.epsilons) // 2]

    def to_request(self) -> dict[str, Any]:
        """What is stored: every default of the trainings spelt out, and the attacks that stand in
        for `audits`, which have the study's strengths still."""
        stored = self.model_dump(mode="json", exclude={"metadata"})
        if self.audits is None:
            stored["audits"] = [one.model_dump(mode="json") for one in _default_attacks()]
        return stored


def _default_attacks() -> Sequence[Attack]:
    return (Fgsm(), Pgd(steps=PGD_STEPS), Noise())


class CellsRequest(Schema):
    """What joins the axes of a study's grid. Each new value is combined with all others."""

    architectures: Annotated[tuple[Architecture, ...], Listed] = Field((), max_length=MAX_ENTRIES)
    trainings: Annotated[tuple[AnyStudyTraining, ...], Listed] = Field((), max_length=MAX_ENTRIES)
    epsilons: Annotated[tuple[Annotated[float, Field(ge=0)], ...], Listed] = Field(
        (),
        max_length=MAX_ENTRIES,
        description="Where the audits have the study's strengths, all models are audited anew.",
    )
    seeds: Annotated[tuple[Seed, ...], Listed] = Field(
        (), max_length=MAX_ENTRIES, examples=[[1, 2]]
    )

    def joined(self, stored: dict[str, Any]) -> dict[str, Any]:
        """A stored request with what joins it. A training has the parameters of its preset."""
        preset = stored["preset"]
        more = self.model_dump(mode="json")
        more["trainings"] = [spelt_out(one, preset) for one in self.trainings]
        return stored | {
            axis: [*stored[axis], *(one for one in more[axis] if one not in stored[axis])]
            for axis in more
        }


class CellError(Schema):
    """Why something of a cell failed."""

    code: str = Field(examples=["not_finite"])
    message: str


class StudyCell(Schema):
    """One training of a study, and the audits of its model."""

    cell: str = Field(examples=["cnn4 similarity ε=0.02 seed=0 train+dev"])
    status: TaskStatus = Field(description="done only if its audits are, too.")
    training: str | None = Field(examples=["/v1/trainings/train_01K9ZQ3W8M4V7T2X6B5N0C1DEF"])
    model: str | None = Field(examples=["model_01K9ZQ3W8M4V7T2X6B5N0C1DEF"])
    audits: dict[str, str] = Field(description="Of its model, by partition.")
    reused: bool = Field(description="Whether the training was there before, or is another's.")
    seconds: float = Field(
        description="Of training and audits, as measured; without those that were interrupted,"
        " whose time is not known.",
        examples=[812.4],
    )
    errors: list[CellError]

    @classmethod
    def of(cls, state: CellState) -> Self:
        """The resource of a cell."""
        return cls(
            cell=state.name,
            status=state.status,
            training=state.training and path_of(state.training, JobKind.TRAINING),
            model=state.model,
            audits={p: path_of(one, JobKind.AUDIT) for p, one in state.audits.items()},
            reused=state.reused,
            seconds=round(state.seconds, 3),
            errors=[
                CellError(code=str(one.get("code")), message=str(one.get("message")))
                for one in state.errors
            ],
        )


class UnfinishedCell(Schema):
    """A cell that did not come to its end, or an audit of its model by way of others."""

    cell: str = Field(
        description='Of an audit by way of others: with "attacked by way of the others" behind it.',
        examples=["vgg16 vanilla ε=0.1 seed=0 train"],
    )
    status: TaskStatus
    errors: list[CellError]


class StudySummary(Schema):
    """How a study ended. Its tables are at `/v1/studies/{id}/tables`."""

    cells: int = Field(examples=[66])
    succeeded: int
    failed: int
    cancelled: int
    reused: int = Field(description="Cells whose training was there before, or is another's.")
    seconds: float = Field(
        description="Of the study's own trainings and audits together, without those that were"
        " interrupted."
    )
    unfinished: list[UnfinishedCell]


class StudyForecast(Schema):
    """What a study would take."""

    object: Literal["study_forecast"] = "study_forecast"
    cells: int = Field(examples=[66])
    reused: int = Field(description="Of them, trainings that are there already.", examples=[3])
    audits: int = Field(description="Of single models, and by way of others.", examples=[108])
    iterations: int = Field(description="Of the trainings that are left.", examples=[630_000])
    training_seconds: float | None = Field(
        description="Of these trainings one after the other, from how long earlier ones of the"
        " same architecture and defence took a step on this service. Null where there is none."
    )
    seconds: float | None = Field(description="The same, shared by the workers that live now.")
    unmeasured: list[str] = Field(
        description="Architectures with defences of which no training has ended here.",
        examples=[["resnet50 similarity"]],
    )


class CellsQuery(Schema):
    """Which cells to list."""

    after: str | None = Field(
        default=None, max_length=300, description="The name of the last cell of the page before."
    )
    limit: int = Field(default=100, ge=1, le=1000, description="How many at most.")


class TablesQuery(Schema):
    """In which form."""

    format: Literal["json", "csv", "markdown", "latex"] = "json"


class StudyFigure(Schema):
    """A drawing of a study."""

    name: str = Field(examples=["robustness-fgsm-test.svg"])
    title: str
    description: str
    url: str = Field(
        examples=["/v1/studies/study_01K9ZQ3W8M4V7T2X6B5N0C1DEF/figures/robustness-fgsm-test.svg"]
    )
