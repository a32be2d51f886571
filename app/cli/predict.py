"""`serval predict`: the emotions of recordings, one after the other."""

import csv
import json as json_text
import sys
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from app.cli.api import DEFAULT_URL, Api, Key, Refused, Url
from app.cli.errors import CliError
from app.cli.output import Json, bar, err_console, print_json, table
from models.corpus.labels import is_audio

OF_ALL: Final = frozenset({401, 403, 404})
"""Answers that all other recordings would get too: key and model are the same for each."""
COLUMNS: Final = (
    *("file", "channel", "label", "score", "scores", "duration_s", "windows", "model"),
    *("adversarial_score", "warnings", "error"),
)


class Channel(StrEnum):
    """Which of two channels is scored."""

    LEFT = "left"
    RIGHT = "right"
    LOUDEST = "loudest"
    EACH = "each"


def predict(
    recordings: Annotated[
        list[Path], typer.Argument(help="WAV, FLAC or AIFF, and folders with such files.")
    ],
    *,
    model: Annotated[
        str | None, typer.Option(help="A model's id; the default one if not given.")
    ] = None,
    top_k: Annotated[int | None, typer.Option(help="Only the most probable emotions.")] = None,
    channel: Annotated[
        Channel, typer.Option(help="Of two; each gives a prediction of either.")
    ] = Channel.LOUDEST,
    url: Url = DEFAULT_URL,
    key: Key = None,
    json: Json = False,
    jsonl: Annotated[bool, typer.Option("--jsonl", help="Print a line of JSON for each.")] = False,
    csv_: Annotated[bool, typer.Option("--csv", help="Print CSV, a row for each channel.")] = False,
) -> None:
    """Predict the emotions of recordings. Those that are refused are named, and the exit code is
    1 then."""
    if json + jsonl + csv_ > 1:
        raise CliError("--json, --jsonl and --csv are three ways to print one thing: give one.")
    paths = list(_files(recordings))
    show = _json if json else _lines if jsonl else _csv if csv_ else _tables
    params = {"model": model, "top_k": top_k, "channel": channel.value}
    with Api(url, key) as api, closing(_predicted(api, paths, params)) as predicted:
        failed = show(predicted)
    if failed and len(paths) > 1:
        typer.echo(f"{failed} of {len(paths)} recordings have no prediction.", err=True)
    raise typer.Exit(1 if failed else 0)


def _files(paths: Sequence[Path]) -> Iterator[Path]:
    """The files, and those of audio in the folders and below, in the order of their names.

    Raises:
        CliError: a folder has none.
    """
    for path in paths:
        if not path.is_dir():
            yield path
            continue
        found = sorted(one for one in path.rglob("*") if is_audio(str(one)) and one.is_file())
        if not found:
            raise CliError(f"{path} holds no WAV, FLAC or AIFF file.")
        yield from found


def _predicted(
    api: Api, paths: Sequence[Path], params: dict[str, Any]
) -> Generator[dict[str, Any], None, None]:
    """The answer for each, with its file; or `error`, which is also told at once.

    Raises:
        CliError: the service would answer the same to all, or not at all.
    """
    known = {name: value for name, value in params.items() if value is not None}
    with _progress(len(paths)) as progress:
        task = progress.add_task("predicting", total=len(paths))
        for path in paths:
            try:
                answer = _predict(api, path, known)
            except _Bad as error:
                typer.echo(str(error), err=True)
                answer = {"error": {"code": error.code, "message": error.why}}
            yield {"file": str(path), **answer}
            progress.advance(task)


class _Bad(CliError):
    """One recording has no prediction, and others may have."""

    def __init__(self, path: Path, code: str, why: str) -> None:
        super().__init__(why if why.startswith(str(path)) else f"{path}: {why}")
        self.code = code
        self.why = why


def _predict(api: Api, path: Path, params: dict[str, Any]) -> dict[str, Any]:
    try:
        content = read(path)
    except CliError as error:
        raise _Bad(path, "unreadable", str(error)) from error
    try:
        answer: dict[str, Any] = api.post(
            "/v1/predict",
            params=params,
            content=content,
            headers={"Content-Type": "application/octet-stream"},
        )
    except Refused as error:
        if error.status in OF_ALL:
            raise
        raise _Bad(path, error.code, str(error)) from error
    return answer


def _progress(files: int) -> Progress:
    """A bar beside results that go elsewhere; on a terminal the results show how far it is."""
    console = err_console()
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        redirect_stdout=False,
        redirect_stderr=True,
        disable=files < 2 or not console.is_terminal or sys.stdout.isatty(),
    )


def _json(predicted: Iterable[dict[str, Any]]) -> int:
    found: list[dict[str, Any]] = []
    try:
        found.extend(predicted)
    finally:  # what is known before the service went away
        print_json(found)
    return sum("error" in one for one in found)


def _lines(predicted: Iterable[dict[str, Any]]) -> int:
    failed = 0
    for one in predicted:
        typer.echo(json_text.dumps(one, ensure_ascii=False))
        failed += "error" in one
    return failed


def _csv(predicted: Iterable[dict[str, Any]]) -> int:
    rows = csv.DictWriter(sys.stdout, COLUMNS, lineterminator="\n")
    rows.writeheader()
    failed = 0
    for one in predicted:
        rows.writerows(_row(one, channel) for channel in _channels(one))
        sys.stdout.flush()
        failed += "error" in one
    return failed


def _row(one: dict[str, Any], channel: dict[str, Any]) -> dict[str, Any]:
    scores = channel.get("scores") or []
    return {
        "file": one["file"],
        "channel": channel.get("channel", ""),
        "label": channel.get("label") or "",
        "score": scores[0]["score"] if scores else "",
        "scores": " ".join(f"{each['label']}={each['score']:.6g}" for each in scores),
        "duration_s": one.get("duration_s", ""),
        "windows": channel.get("windows", ""),
        "model": one.get("model", ""),
        "adversarial_score": channel.get("adversarial_score", ""),
        "warnings": " ".join(f"{each['code']}={each['value']}" for each in _warnings(channel)),
        "error": (channel.get("error") or {}).get("message", ""),
    }


def _channels(one: dict[str, Any]) -> list[dict[str, Any]]:
    """The predictions of each channel, or the one of all."""
    found: list[dict[str, Any]] = one.get("channels", [one])
    return found


def _warnings(channel: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = channel.get("warnings", [])
    return found


def _tables(predicted: Iterable[dict[str, Any]]) -> int:
    failed = 0
    for one in predicted:
        if "error" in one:
            failed += 1
            continue
        for channel in _channels(one):
            _table(one, channel)
    return failed


def _table(one: dict[str, Any], channel: dict[str, Any]) -> None:
    named = " ".join((one["file"], *([channel["channel"]] if "channel" in channel else [])))
    if channel.get("error"):
        typer.echo(f"{named}: {channel['error']['message']}", err=True)
        return
    table(
        ("emotion", "score", ""),
        [(each["label"], each["score"], bar(each["score"])) for each in channel["scores"]],
        title=f"{named}  {one['duration_s']:.2f} s  {one['model']}",
    )
    if "adversarial_score" in channel:
        typer.echo(f"{named}: adversarial score {channel['adversarial_score']:.3f}")
    for warning in _warnings(channel):
        typer.echo(f"{named}: {warning['message']}", err=True)


def read(path: Path) -> bytes:
    """The file's content.

    Raises:
        CliError: it cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise CliError(f"{path} cannot be read: {error.strerror}.") from error
