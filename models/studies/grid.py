"""The grid of a study: what its trainings differ in, and what they share.

Defaults are those of the paper's Table 2 (``docs/paper.md``).
"""

from collections import Counter
from collections.abc import Mapping
from typing import Annotated, Any, Final, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_core import InitErrorDetails, PydanticCustomError

from models.architectures import Architecture
from models.attacks import Listed
from models.provenance import TrainedOn
from models.studies.cell import Cell
from models.studies.deviations import PROBE, Deviation, deviations
from models.studies.expansion import ITERATIONS, TRAININGS, expanded, named
from models.studies.trainings import STUDY_TRAININGS, AnyStudyTraining, StudyTraining
from models.training_plan import MAX_ITERATIONS, MAX_SEED, Recipe
from models.training_presets import TrainingPresetName
from models.training_presets import described as described_presets

MAX_ENTRIES: Final = 32
"""Of each axis."""
Seed = Annotated[int, Field(ge=0, le=MAX_SEED)]
AXES: Final = ("architectures", "trainings", "epsilons", "seeds", "train_on")
OF_THE_GRID: Final = {
    "architecture": "architectures",
    "defense": "trainings",
    "epsilon": "epsilons",
    "iterations": "iterations",
    "seed": "seeds",
}
"""Fields of a recipe that are the grid's own, and what they are called there."""


class Grid(BaseModel):
    """Trainings on the same data: every architecture by every training by every strength by every
    seed by every choice of partitions; a training without a strength stands once for all of them.

    ``recipe`` is filled up with the preset and the defaults when the grid is made, so a stored grid
    means the same whatever becomes of these. What a preset says may be overridden; ``deviations``
    tells by what.

    Raises:
        pydantic.ValidationError: an axis is empty or names something twice, or one of the trainings
            could not be made; it names the field of the grid.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False, validate_default=True
    )

    architectures: Annotated[tuple[Architecture, ...], Listed] = Field(
        ("cnn4", "resnet50", "vgg16"), max_length=MAX_ENTRIES, examples=[["cnn4"]]
    )
    trainings: Annotated[tuple[AnyStudyTraining, ...], Listed] = Field(
        tuple(STUDY_TRAININGS.parse({"type": name}) for name in TRAININGS),
        max_length=MAX_ENTRIES,
        description="Each a name, or an object with parameters of its own. The same type with other"
        " parameters is another training: the better one on `dev` is the one that counts.",
        examples=[["single", "vanilla", {"type": "similarity", "beta": 0.3, "gamma": 0.5}]],
    )
    epsilons: Annotated[tuple[Annotated[float, Field(ge=0)], ...], Listed] = Field(
        (0.02, 0.04, 0.06, 0.08, 0.1),
        max_length=MAX_ENTRIES,
        description="Strengths that trainings defend against, in standard deviations of a mel"
        " band.",
    )
    iterations: int = Field(
        ITERATIONS, ge=1, le=MAX_ITERATIONS, description="Optimiser steps of each training."
    )
    seeds: Annotated[tuple[Seed, ...], Listed] = Field(
        (0,), max_length=MAX_ENTRIES, description="Each makes another model of every kind."
    )
    train_on: Annotated[tuple[TrainedOn, ...], Listed] = Field(
        ("train", "train+dev"),
        max_length=MAX_ENTRIES,
        description="The paper tunes on `dev` with models trained on `train`, and tests models"
        " trained on both: each cell twice.",
    )
    recipe: dict[str, Any] = Field(
        default_factory=dict,
        description="Other fields of a training, the same for all: those of POST /v1/trainings,"
        " such as batch_size, frames, front_end, precision, attack. They go before the preset's.",
        examples=[{"frames": 128, "precision": "bfloat16"}],
    )
    preset: TrainingPresetName | None = Field(
        None,
        description="Fields of a published method under one name, and parameters of its defences. "
        + described_presets(),
        examples=["icassp2020-paper"],
    )

    @model_validator(mode="before")
    @classmethod
    def _with_the_preset(cls, values: object) -> object:
        return expanded(values) if isinstance(values, Mapping) else values

    @field_validator(*AXES)
    @classmethod
    def _something_and_nothing_twice(cls, entries: tuple[object, ...]) -> tuple[object, ...]:
        if not entries:
            raise PydanticCustomError("empty_axis", "is empty: give at least one, or leave it out")
        twice = [one for one, times in Counter(entries).items() if times > 1]
        if twice:
            raise PydanticCustomError(
                "entry_twice",
                "holds {entry} more than once: give each once",
                {"entry": _shown(twice[0])},
            )
        return entries

    @field_validator("recipe")
    @classmethod
    def _fields_of_a_recipe(cls, recipe: dict[str, Any]) -> dict[str, Any]:
        for name in recipe:
            if name in OF_THE_GRID:
                raise PydanticCustomError(
                    "field_of_the_study",
                    "{name} stands beside recipe, not in it: give {instead}",
                    {"name": name, "instead": OF_THE_GRID[name]},
                )
            if name not in Recipe.model_fields:
                raise PydanticCustomError(
                    "unknown_field",
                    "{name} is no field of a training: give one of {known}",
                    {
                        "name": repr(name)[:60],
                        "known": ", ".join(sorted(Recipe.model_fields.keys() - OF_THE_GRID.keys())),
                    },
                )
        return {**_defaults(), **recipe}

    @model_validator(mode="after")
    def _trainings_that_can_be_made(self) -> Self:
        _check_recipe({**self._base(), "defense": PROBE}, {})
        for place, training in enumerate(self.trainings):
            for number, epsilon in enumerate(self._epsilons(training)):
                elsewhere = {"epsilon": ("epsilons", number), "defense": ("trainings", place)}
                _check_recipe(training.fields(self._base(), epsilon), elsewhere)
        return self

    @property
    def n_cells(self) -> int:
        """How many trainings it has, counted without making them."""
        strengths = sum(len(self._epsilons(training)) for training in self.trainings)
        return len(self.architectures) * len(self.seeds) * len(self.train_on) * strengths

    def cells(self) -> tuple[Cell, ...]:
        """Its trainings. The first seed's come first: its tables are whole the soonest."""
        return tuple(
            self._cell(architecture, training, epsilon, seed, train_on)
            for seed in self.seeds
            for architecture in self.architectures
            for training in self.trainings
            for epsilon in self._epsilons(training)
            for train_on in self.train_on
        )

    def deviations(self) -> list[Deviation]:
        """In what it is not as its preset says; nothing for a grid without one."""
        preset = named(self.preset)
        return [] if preset is None else list(deviations(self._base(), self.trainings, preset))

    def _epsilons(self, training: StudyTraining) -> tuple[float | None, ...]:
        return self.epsilons if training.has_epsilon else (None,)

    def _base(self) -> dict[str, Any]:
        return {**self.recipe, "iterations": self.iterations}

    def _cell(
        self,
        architecture: str,
        training: StudyTraining,
        epsilon: float | None,
        seed: int,
        train_on: TrainedOn,
    ) -> Cell:
        fields = training.fields(self._base(), epsilon)
        return Cell(
            architecture=architecture,
            training=training.type,
            parameters={one.name: one.value for one in training.unusual(named(self.preset))},
            epsilon=epsilon,
            seed=seed,
            train_on=train_on,
            recipe=Recipe.model_validate({**fields, "architecture": architecture, "seed": seed}),
        )


def _defaults() -> dict[str, Any]:
    return Recipe().model_dump(mode="json", exclude=set(OF_THE_GRID))


def _shown(entry: object) -> str:
    return f"{entry:g}" if isinstance(entry, float) else str(getattr(entry, "type", entry))


def _check_recipe(
    fields: Mapping[str, Any], elsewhere: Mapping[str, tuple[str | int, ...]]
) -> None:
    """Refuse what could not be trained.

    Args:
        fields: of a recipe.
        elsewhere: where a grid has a field that does not come from its ``recipe``.

    Raises:
        pydantic.ValidationError: it names the field of the grid.
    """
    try:
        Recipe.model_validate(fields)
    except ValidationError as refused:
        faults: list[InitErrorDetails] = [
            {
                "type": PydanticCustomError(fault["type"], "{told}", {"told": fault["msg"]}),
                "loc": _place(fault["loc"], elsewhere),
                "input": fault["input"],
            }
            for fault in refused.errors()
        ]
        raise ValidationError.from_exception_data("Grid", faults) from refused


def _place(
    loc: tuple[str | int, ...], elsewhere: Mapping[str, tuple[str | int, ...]]
) -> tuple[str | int, ...]:
    first, *rest = loc
    return (*elsewhere.get(str(first), ("recipe", first)), *rest)
