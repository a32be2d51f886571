"""`serval train`: a model, hardened or not, from a corpus."""

from enum import StrEnum
from typing import Annotated, Any

import typer

from app.cli.api import DEFAULT_URL, Api, Key, Url
from app.cli.corpus import the_id
from app.cli.following import follow, succeeded
from app.cli.output import Json, print_json, table

NoWait = Annotated[bool, typer.Option("--no-wait", help="Queue it and print its id.")]


class Defense(StrEnum):
    """What the training defends with."""

    SINGLE = "single"
    VANILLA = "vanilla"
    SIMILARITY = "similarity"


class Distance(StrEnum):
    """How the similarity defence compares embeddings."""

    MSE = "mse"
    L2 = "l2"


def train(
    corpus: Annotated[str, typer.Option(help="Id or name of the corpus.")],
    *,
    architecture: Annotated[str | None, typer.Option(help="cnn4, resnet50, vgg16.")] = None,
    defense: Annotated[Defense, typer.Option(help="single is no defence.")] = Defense.SINGLE,
    alpha: Annotated[float | None, typer.Option(help="vanilla: weight of the clean loss.")] = None,
    beta: Annotated[
        float | None, typer.Option(help="similarity: weight of the clean loss.")
    ] = None,
    gamma: Annotated[
        float | None, typer.Option(help="similarity: weight of the adversarial loss.")
    ] = None,
    distance: Annotated[Distance | None, typer.Option(help="similarity: of embeddings.")] = None,
    epsilon: Annotated[float | None, typer.Option(help="FGSM step of the training.")] = None,
    iterations: Annotated[int | None, typer.Option(help="Steps.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Clips of one step.")] = None,
    seed: Annotated[int | None, typer.Option(help="The same seed gives the same model.")] = None,
    name: Annotated[str | None, typer.Option(help="Of the model.")] = None,
    no_wait: NoWait = False,
    url: Url = DEFAULT_URL,
    key: Key = None,
    json: Json = False,
) -> None:
    """Train a model and follow the losses; it can be used at once when it is done."""
    defense_fields = {
        "type": defense.value,
        "alpha": alpha,
        "beta": beta,
        "gamma": gamma,
        "distance": None if distance is None else distance.value,
    }
    request = {
        "architecture": architecture,
        "defense": given(defense_fields),
        "epsilon": epsilon,
        "iterations": iterations,
        "batch_size": batch_size,
        "seed": seed,
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
