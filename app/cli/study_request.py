"""What the options of `serval reproduce` and `serval study` ask for, as the service takes it."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from app.cli.audit_request import STRENGTHS, numbers
from app.cli.errors import CliError
from app.cli.objects import command_with, parse_object, parse_pairs
from app.cli.train import given

if TYPE_CHECKING:
    from models.catalogue import Catalogue
    from models.registry import Registry
    from models.studies.trainings import StudyTraining

PRESET: Final = "icassp2020-paper"
OPTIONS: Final = {
    "architectures": "--architecture",
    "trainings": "--training",
    "epsilons": "--epsilon",
    "seeds": "--seed",
    "recipe": "--set",
    "audits": "--audits or --attack",
}
"""What options are called that are no names of fields."""
NO_PRESET: Final = "none"


def _presets() -> "Catalogue[Any]":
    from models.training_presets import TRAINING_PRESETS

    return TRAINING_PRESETS


def _architectures() -> "Catalogue[Any]":
    from models.architectures import ARCHITECTURES

    return ARCHITECTURES


def _trainings() -> "Registry[StudyTraining]":
    from models.studies.trainings import STUDY_TRAININGS

    return STUDY_TRAININGS


def _audits() -> "Catalogue[Any]":
    from models.presets import PRESETS

    return PRESETS


StudyCommand = command_with(
    {
        "Presets": _presets,
        "Architectures": _architectures,
        "Trainings, and what they take": _trainings,
        "Presets of audits": _audits,
    }
)

Architectures = Annotated[
    list[str] | None,
    typer.Option("--architecture", help="A network from the list below, once for each."),
]
Trainings = Annotated[
    list[str] | None,
    typer.Option(
        "--training",
        help='How models are trained, such as single, or "similarity beta=.3"; once for each: see'
        " the list below.",
    ),
]
Epsilons = Annotated[
    list[str] | None,
    typer.Option("--epsilon", help="Strengths to train against, by commas or once for each."),
]
Seeds = Annotated[
    list[int] | None, typer.Option("--seed", help="Each makes another model; once for each.")
]


def grid(
    architectures: Sequence[str] | None,
    trainings: Sequence[str] | None,
    epsilons: Sequence[str] | None,
    seeds: Sequence[int] | None,
) -> dict[str, Any]:
    """The axes that options give; the service knows the others.

    Raises:
        CliError: a training is none, or a strength is no number.
    """
    return given(
        {
            "architectures": architectures or None,
            "trainings": [parse_object(one, "--training") for one in trainings or []] or None,
            "epsilons": [number for one in epsilons or [] for number in numbers(one)] or None,
            "seeds": seeds or None,
        }
    )


def preset_named(name: str) -> str | None:
    """The preset of a name; there is none of the name none."""
    return None if name == NO_PRESET else name


def recipe(pairs: Sequence[str]) -> dict[str, Any] | None:
    """What ``--set`` says: each value is JSON, a number, a list by commas or a word; None for no
    pairs.

    Raises:
        CliError: one is no NAME=VALUE.
    """
    return parse_pairs(pairs, "--set") or None


def audits(name: str | None, attacks: Sequence[str]) -> object:
    """What models are audited with: the name of a preset, or a list of attacks; None for neither.

    Raises:
        CliError: both are given, or an attack is none.
    """
    if name is not None and attacks:
        raise CliError("--audits and --attack are two ways to choose the audits; give one.")
    return name or [_listed(parse_object(one, "--attack")) for one in attacks] or None


def _listed(attack: dict[str, Any]) -> dict[str, Any]:
    """An attack as the service takes it: one strength is a list, too."""
    scalars = {name for name in STRENGTHS if not isinstance(attack.get(name, []), list)}
    return attack | {name: [attack[name]] for name in scalars}


def refuse_beside_resume(asked: Mapping[str, object]) -> None:
    """A study that goes on has what it was given.

    Args:
        asked: fields that options gave.

    Raises:
        CliError: naming the options, which would be without effect.
    """
    idle = [OPTIONS.get(name, f"--{name.replace('_', '-')}") for name in asked]
    if idle:
        raise CliError(
            f"{', '.join(idle)} cannot be changed in a study that goes on: leave them out, or add"
            " to its grid with `serval study add`."
        )
