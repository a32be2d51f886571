"""What every training of a study is: its parameters with their bounds, and the recipe it makes.

A request names one, "vanilla", or gives it as an object with parameters of its own,
{"type": "vanilla", "alpha": 0.4}.
"""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Final, NamedTuple

from pydantic import (
    BaseModel,
    ConfigDict,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from models.defenses import Defense
from models.registry import Registry
from models.training_presets import TrainingPreset

Preset = type[TrainingPreset]
"""In a class with a field that is called ``type``, the built-in one is out of sight."""


OF_THE_ATTACK: Final = {"attack", "crafting"}


class StudyTraining(BaseModel):
    """Base of all of them. A subclass declares ``type``, its parameters and :meth:`fields`.

    Each parameter has a default, since a name alone asks for a training. Parameters are strict: a
    number is no string, and true is no number.

    Class attributes:
        has_epsilon: whether it trains once for each strength of a study, or once for all.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False, validate_default=True
    )

    has_epsilon: ClassVar[bool] = True

    type: str

    @classmethod
    def of_preset(cls, preset: Preset) -> dict[str, Any]:  # noqa: ARG003  (of those that have any)
        """Parameters that a preset sets, by name; a request may give others."""
        return {}

    def fields(self, base: Mapping[str, Any], epsilon: float | None) -> dict[str, Any]:
        """Fields of a `models.training_plan.Recipe`, without architecture and seed.

        Args:
            base: fields that all trainings of the study share, ``attack`` among them if the study
                has one; not modified.
            epsilon: strength in σ; None exactly for a training without one.
        """
        raise NotImplementedError

    def unusual(self, preset: Preset | None) -> list["Unusual"]:
        """Its parameters that are not as in a preset, or, without one, as by default."""
        of_preset = {} if preset is None else self.of_preset(preset)
        usual = type(self).model_validate(of_preset).model_dump(mode="json")
        return [
            Unusual(name, value, usual[name])
            for name, value in self.model_dump(mode="json").items()
            if value != usual[name]
        ]


class Unusual(NamedTuple):
    """A parameter with another value than the usual one, both in JSON's types."""

    name: str
    value: Any
    usual: Any


class OfDefense(StudyTraining, Defense):
    """Base of a training that is a defence by itself: a subclass inherits from the defence first,
    and so has its type, its parameters and what it trains on."""

    @classmethod
    def of_preset(cls, preset: Preset) -> dict[str, Any]:
        """What the preset says of the defence."""
        return dict(preset.defenses.get(cls.model_fields["type"].default, {}))

    def fields(self, base: Mapping[str, Any], epsilon: float | None) -> dict[str, Any]:
        """See :meth:`StudyTraining.fields`."""
        found = {**base, "defense": self.model_dump()}
        if self.inputs != "attack":
            found = without_attack(found)
        if epsilon is not None:
            found["epsilon"] = epsilon
        return found


def without_attack(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of a recipe without those that say how the attack makes its clips: a training that
    does not use them would be refused."""
    return {name: value for name, value in fields.items() if name not in OF_THE_ATTACK}


STUDY_TRAININGS: Final[Registry[StudyTraining]] = Registry("training")
"""What a study can train with, by type."""


class _NameOrObject:
    """A training by its name alone has the parameters of the study's preset, or its own."""

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_before_validator_function(as_object, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        name = {"type": "string", "enum": list(STUDY_TRAININGS)}
        return {"anyOf": [name, handler(schema)]}


def as_object(given: object) -> object:
    """The object that a name stands for; anything else as it is."""
    return {"type": given} if isinstance(given, str) else given


AnyStudyTraining = Annotated[StudyTraining, STUDY_TRAININGS, _NameOrObject()]
"""A training in a request: the name or the object of one that is registered."""
