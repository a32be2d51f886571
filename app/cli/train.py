"""`serval train`: a model, hardened or not, from a corpus."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.cli.api import DEFAULT_URL, Api, Key, Url
from app.cli.corpus import Fold, LeaveOut, the_id
from app.cli.corpus import fold as the_fold
from app.cli.following import follow, succeeded
from app.cli.objects import command_with, parse_object, parse_pairs
from app.cli.output import Json, print_json, table
from app.defaults import FRONT_END

if TYPE_CHECKING:
    from models.attacks import Attack
    from models.catalogue import Catalogue
    from models.corruptions import Corruption
    from models.defenses import Defense
    from models.registry import Registry

NoWait = Annotated[bool, typer.Option("--no-wait", help="Queue it and print its id.")]


def _architectures() -> "Catalogue[Any]":
    from models.architectures import ARCHITECTURES

    return ARCHITECTURES


def _defenses() -> "Registry[Defense]":
    from models.defenses import DEFENSES

    return DEFENSES


def _attacks() -> "Registry[Attack]":
    from models.attacks import ATTACKS

    return ATTACKS


def _front_ends() -> "Catalogue[Any]":
    from models.front_ends import FRONT_ENDS

    return FRONT_ENDS


def _corruptions() -> "Registry[Corruption]":
    from models.corruptions import CORRUPTIONS

    return CORRUPTIONS


def _presets() -> "Catalogue[Any]":
    from models.training_presets import TRAINING_PRESETS

    return TRAINING_PRESETS


TrainCommand = command_with(
    {
        "Presets": _presets,
        "Architectures": _architectures,
        "Defences, and what they take": _defenses,
        "Attacks, and what they take": _attacks,
        "Front ends": _front_ends,
        "Corruptions that recordings are varied with": _corruptions,
    }
)


def train(
    corpus: Annotated[str, typer.Option(help="Id or name of the corpus.")],
    *,
    preset: Annotated[
        str | None, typer.Option(help="A published method, from the list below.")
    ] = None,
    architecture: Annotated[str | None, typer.Option(help="One of the list below.")] = None,
    defense: Annotated[
        str | None,
        typer.Option(
            help='"TYPE NAME=VALUE …" or JSON, such as "trades beta=3": see the list below.',
            show_default="single, which is none",
        ),
    ] = None,
    attack: Annotated[
        str | None,
        typer.Option(
            help='What the defence trains against, such as "pgd steps=7": see the list below.',
            show_default="fgsm",
        ),
    ] = None,
    epsilon: Annotated[float | None, typer.Option(help="Strength of that attack.")] = None,
    crafting: Annotated[
        str | None,
        typer.Option(help="eval or fused, which is faster.", show_default="eval"),
    ] = None,
    epsilon_ramp: Annotated[
        int | None,
        typer.Option(help="Iterations over which that strength rises to it.", show_default="0"),
    ] = None,
    iterations: Annotated[int | None, typer.Option(help="Steps.")] = None,
    learning_rate: Annotated[
        float | None, typer.Option(help="Of Adam.", show_default="0.001")
    ] = None,
    batch_size: Annotated[int | None, typer.Option(help="Clips of one step.")] = None,
    front_end: Annotated[
        str | None,
        typer.Option(help="One of the list below.", show_default=FRONT_END),
    ] = None,
    augment: Annotated[
        list[str] | None,
        typer.Option(
            help='What recordings are varied with, such as "gain db=-20,6"; once for each: see the'
            " list below.",
        ),
    ] = None,
    augment_share: Annotated[
        float | None, typer.Option(help="Share of the clips that each is applied to.")
    ] = None,
    class_weights: Annotated[
        str | None,
        typer.Option(
            help='Weights of emotions in the loss: balanced, "NAME=VALUE …" or JSON.',
            show_default="all the same",
        ),
    ] = None,
    sampling: Annotated[
        str | None,
        typer.Option(
            help="uniform, or balanced: each emotion as often as any other.",
            show_default="uniform",
        ),
    ] = None,
    on_overfitting: Annotated[
        str | None,
        typer.Option(
            help="What follows catastrophic overfitting: warn, stop, or best, which takes the model"
            " that was the best under PGD.",
            show_default="warn",
        ),
    ] = None,
    precision: Annotated[
        str | None, typer.Option(help="float32 or bfloat16.", show_default="float32")
    ] = None,
    fold: Fold = None,
    leave_out: LeaveOut = None,
    seed: Annotated[int | None, typer.Option(help="The same seed gives the same model.")] = None,
    resume_from: Annotated[
        str | None,
        typer.Option(help="Training that diverged, to go on from its checkpoint."),
    ] = None,
    name: Annotated[str | None, typer.Option(help="Of the model.")] = None,
    no_wait: NoWait = False,
    url: Url = DEFAULT_URL,
    key: Key = None,
    json: Json = False,
) -> None:
    """Train a model and follow the losses; it can be used at once when it is done."""
    request = {
        "preset": preset,
        "architecture": architecture,
        "defense": None if defense is None else parse_object(defense, "--defense"),
        "attack": None if attack is None else parse_object(attack, "--attack"),
        "epsilon": epsilon,
        "crafting": crafting,
        "epsilon_ramp": epsilon_ramp,
        "iterations": iterations,
        "learning_rate": learning_rate,
        "batch_size": batch_size,
        "front_end": front_end,
        "augment": [parse_object(one, "--augment") for one in augment] if augment else None,
        "augment_share": augment_share,
        "class_weights": None if class_weights is None else parse_weights(class_weights),
        "sampling": sampling,
        "on_overfitting": on_overfitting,
        "precision": precision,
        "fold": the_fold(fold, leave_out),
        "seed": seed,
        "resume_from": resume_from,
        "name": name,
    }
    with Api(url, key) as api:
        job = api.post("/v1/trainings", json=given({"corpus": the_id(api, corpus), **request}))
        if no_wait:
            announce(job, json=json)
            return
        job = follow(api, job, quiet=json)
    if json:
        print_json(job)
    show(succeeded(job), silent=json)


def parse_weights(text: str) -> str | dict[str, Any]:
    """What ``--class-weights`` says, as the service takes it.

    Raises:
        CliError: it is neither a name, nor pairs, nor JSON.
    """
    if text.lstrip().startswith("{"):
        return parse_object(text, "--class-weights")
    return parse_pairs(text.split(), "--class-weights") if "=" in text else text


def given(fields: dict[str, Any]) -> dict[str, Any]:
    """The fields that have a value: the service knows the defaults of the others."""
    return {name: value for name, value in fields.items() if value is not None}


def announce(job: dict[str, Any], *, json: bool) -> None:
    """Print a job that nobody waits for."""
    if json:
        print_json(job)
    else:
        typer.echo(job["id"])


def show(result: dict[str, Any], *, silent: bool) -> None:
    """Print the model and how well it does."""
    if silent:
        return
    parts = result["metrics"]
    strengths = list(dict.fromkeys(eps for part in parts.values() for eps in part["fgsm_uar"]))
    rows = [
        (name, part["clean_uar"], *(part["fgsm_uar"].get(eps) for eps in strengths))
        for name, part in parts.items()
    ]
    table(("partition", "UAR", *(f"ε {eps}" for eps in strengths)), rows, title=result["model"])
