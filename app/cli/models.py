"""`serval models`: list, show, add and remove models."""

from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any, Final

import httpx
import typer

from app.cli.api import CONNECT_SECONDS, DEFAULT_URL, PAGE, Api, Key, Url, path_to
from app.cli.errors import CliError
from app.cli.output import Json, print_json, table
from app.cli.uploading import ToldFile, upload_bar

app = typer.Typer(name="models", no_args_is_help=True, help="List, show, add and remove models.")

WEIGHTS: Final = "model.safetensors"
CONFIG: Final = "config.json"
CHECK_SECONDS: Final = 600.0
"""The answer comes when the weights are checked."""

ModelId = Annotated[str, typer.Argument(metavar="MODEL", help="Its id.")]


@app.command("list")
def list_(*, url: Url = DEFAULT_URL, key: Key = None, json: Json = False) -> None:
    """List your models, newest first, and then the starters."""
    with Api(url, key) as api:
        found = list(api.pages("/v1/models", limit=PAGE))
    if json:
        print_json(found)
        return
    rows = [
        (
            one["id"],
            one["name"],
            one["architecture"],
            one["defense"].get("type"),
            len(one["labels"]),
            _test_uar(one["metrics"]),
        )
        for one in found
    ]
    table(("id", "name", "architecture", "defence", "emotions", "test UAR"), rows)


@app.command()
def show(model: ModelId, *, url: Url = DEFAULT_URL, key: Key = None, json: Json = False) -> None:
    """Show what a model knows, and how robust it was measured to be."""
    with Api(url, key) as api:
        found = api.get(path_to("models", model))
    _show(found, json=json)


@app.command()
def add(
    path: Annotated[
        Path,
        typer.Argument(help=f"Weights as safetensors, or a folder with {WEIGHTS} and {CONFIG}."),
    ],
    *,
    config: Annotated[
        Path | None,
        typer.Option(help="The configuration's JSON.", show_default=f"{CONFIG} beside the weights"),
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="Of the model.", show_default="the folder's")
    ] = None,
    url: Url = DEFAULT_URL,
    key: Key = None,
    json: Json = False,
) -> None:
    """Upload a model. The service checks it, and it can be used at once."""
    weights = path / WEIGHTS if path.is_dir() else path
    beside = config or weights.parent / CONFIG
    named = name or weights.resolve().parent.name
    with ExitStack() as opened:
        try:
            files = [opened.enter_context(one.open("rb")) for one in (weights, beside)]
        except OSError as error:
            raise CliError(f"{error.filename} cannot be read: {error.strerror}.") from error
        api = opened.enter_context(Api(url, key))
        bar = opened.enter_context(upload_bar(silent=json))
        model = api.post(
            "/v1/models",
            files={
                "weights": (WEIGHTS, ToldFile(files[0], bar, then="checking")),
                "config": (CONFIG, files[1]),
            },
            data={"name": named},
            timeout=httpx.Timeout(CHECK_SECONDS, connect=CONNECT_SECONDS),
        )
    _show(model, json=json)


@app.command()
def remove(
    models: Annotated[list[str], typer.Argument(metavar="MODELS", help="Their ids.")],
    *,
    url: Url = DEFAULT_URL,
    key: Key = None,
) -> None:
    """Remove models that no unfinished job uses. What was found of them stays."""
    with Api(url, key) as api:
        for model in models:
            api.delete(path_to("models", model))
            typer.echo(f"{model} is removed.")


def _test_uar(metrics: dict[str, Any]) -> float | None:
    found: float | None = metrics.get("test", {}).get("clean_uar")
    return found


def _show(model: dict[str, Any], *, json: bool) -> None:
    if json:
        print_json(model)
        return
    rows: list[tuple[str, object]] = [
        ("name", model["name"]),
        ("architecture", model["architecture"]),
        ("emotions", ", ".join(model["labels"])),
        ("front end", model["front_end"]),
        ("window", f"{model['frames'] * 16 / 1000:g} s"),
        ("defence", _in_words(model["defense"])),
        ("training", model["training"] or ("ships with the service" if model["starter"] else None)),
        ("SHA-256", model["sha256"]),
        ("detector", _detector(model["detector"])),
    ]
    for partition, found in model["metrics"].items():
        rows.append((f"{partition} UAR", found["clean_uar"]))
        rows += [(f"{partition} UAR, FGSM ε {eps}", uar) for eps, uar in found["fgsm_uar"].items()]
    table(("model", model["id"]), rows)


def _detector(detector: dict[str, Any] | None) -> str | None:
    if detector is None:
        return None
    alarms = detector["false_alarm_rate"]["value"]
    return (
        f"of {detector['attack']['type']} at ε {detector['epsilon']:g}; alarm above"
        f" {detector['threshold']:.3f}, {alarms:.1%} false alarms"
    )


def _in_words(defense: dict[str, Any]) -> str:
    return ", ".join(
        str(value) if name == "type" else f"{name} {value}" for name, value in defense.items()
    )
