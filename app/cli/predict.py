"""`serval predict`: the emotion of a clip."""

from pathlib import Path
from typing import Annotated, Any

import typer

from app.cli.api import DEFAULT_URL, Api, Key, Url
from app.cli.errors import CliError
from app.cli.output import Json, bar, print_json, table


def predict(
    clips: Annotated[list[Path], typer.Argument(help="Recordings: WAV, FLAC or AIFF.")],
    *,
    model: Annotated[
        str | None, typer.Option(help="A model's id; the default one if not given.")
    ] = None,
    top_k: Annotated[int | None, typer.Option(help="Only the most probable emotions.")] = None,
    url: Url = DEFAULT_URL,
    key: Key = None,
    json: Json = False,
) -> None:
    """Predict the emotion of each clip, up to the first that is refused."""
    found: list[dict[str, Any]] = []
    try:
        with Api(url, key) as api:
            for path in clips:
                prediction = _predict(api, path, model, top_k)
                found.append({"file": str(path), **prediction})
                if not json:
                    _show(path, prediction)
    finally:  # what is known of the clips before one that is refused
        if json:
            print_json(found)


def _show(path: Path, prediction: dict[str, Any]) -> None:
    table(
        ("emotion", "score", ""),
        [(one["label"], one["score"], bar(one["score"])) for one in prediction["scores"]],
        title=f"{path}  {prediction['duration_s']:.2f} s  {prediction['model']}",
    )
    for warning in prediction.get("warnings", []):
        typer.echo(f"{path}: {warning['message']}", err=True)


def _predict(api: Api, path: Path, model: str | None, top_k: int | None) -> dict[str, Any]:
    params = {"model": model, "top_k": top_k}
    prediction: dict[str, Any] = api.post(
        "/v1/predict",
        params={name: value for name, value in params.items() if value is not None},
        content=read(path),
        headers={"Content-Type": "audio/wav"},
    )
    return prediction


def read(path: Path) -> bytes:
    """The file's content.

    Raises:
        CliError: it cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise CliError(f"{path} cannot be read: {error.strerror}.") from error
