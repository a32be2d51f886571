"""`serval corpus`: add, list, show and remove corpora."""

import json as json_text
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Annotated, Any, Final

import httpx
import typer

from app.cli.api import CONNECT_SECONDS, DEFAULT_URL, PAGE, Api, Key, Url, path_to
from app.cli.errors import CliError
from app.cli.output import Json, counted, print_json, table
from app.cli.uploading import ToldFile, upload_bar
from models.corpus import ADAPTERS, INDEX_NAME
from models.corpus.labels import is_audio

app = typer.Typer(name="corpus", no_args_is_help=True, help="Add, list, show and remove corpora.")

# The answer comes when the last clip is decoded: on two cores 130 clips a second.
IMPORT_SECONDS: Final = 3600.0
SKIPPED_PAGE: Final = 1000
SHOWN_SKIPPED: Final = 10


@app.command()
def add(
    path: Annotated[Path, typer.Argument(help="A zip archive, or a folder of recordings.")],
    *,
    name: Annotated[
        str | None, typer.Option(help="Of the corpus; the folder's if not given.")
    ] = None,
    format_: Annotated[
        str,
        typer.Option(
            "--format",
            help=f"auto; index (it has an index.csv); or {', '.join(ADAPTERS)} (files are named as"
            " they were published).",
        ),
    ] = "auto",
    label: Annotated[
        list[str] | None,
        typer.Option(help="OLD=NEW: what an emotion is to be called; once for each."),
    ] = None,
    aliases: Annotated[
        bool,
        typer.Option("--aliases", help="Call emotions by the shared names: angry is anger."),
    ] = False,
    url: Url = DEFAULT_URL,
    key: Key = None,
    json: Json = False,
) -> None:
    """Upload a corpus. The service decodes it and partitions it by speaker."""
    request: dict[str, Any] = {"name": name or path.resolve().stem, "format": format_}
    if label:
        request["labels"] = _renamings(label)
    if aliases:
        request["aliases"] = True
    with Api(url, key) as api:
        corpus = upload(api, path, request, silent=json)
    _show(corpus, json=json)


@app.command("list")
def list_(*, url: Url = DEFAULT_URL, key: Key = None, json: Json = False) -> None:
    """List your corpora, newest first."""
    with Api(url, key) as api:
        found = list(api.pages("/v1/corpora", limit=PAGE))
    if json:
        print_json(found)
        return
    rows = [
        (
            one["id"],
            one["name"],
            one["clips"],
            one["speakers"],
            len(one["classes"]),
            " ".join(one["partitions"]),
        )
        for one in found
    ]
    table(("id", "name", "clips", "speakers", "emotions", "partitions"), rows)


@app.command()
def show(
    corpus: Annotated[str, typer.Argument(help="Id or name.")],
    *,
    url: Url = DEFAULT_URL,
    key: Key = None,
    json: Json = False,
) -> None:
    """Show what a corpus holds."""
    with Api(url, key) as api:
        found = api.get(path_to("corpora", the_id(api, corpus)))
    _show(found, json=json)


@app.command()
def skipped(
    corpus: Annotated[str, typer.Argument(help="Id or name.")],
    *,
    url: Url = DEFAULT_URL,
    key: Key = None,
    json: Json = False,
) -> None:
    """List the files of its archive that are not used, with the reasons."""
    with Api(url, key) as api:
        found = list(_all_skipped(api, the_id(api, corpus)))
    if json:
        print_json(found)
        return
    table(("file", "reason"), [(one["path"], one["reason"]) for one in found])


@app.command()
def remove(
    corpus: Annotated[str, typer.Argument(help="Id or name.")],
    *,
    url: Url = DEFAULT_URL,
    key: Key = None,
) -> None:
    """Remove a corpus. Results and models that were made with it stay."""
    with Api(url, key) as api:
        id_ = the_id(api, corpus)
        api.delete(path_to("corpora", id_))
    typer.echo(f"{id_} is removed.")


def upload(api: Api, path: Path, request: dict[str, Any], *, silent: bool) -> dict[str, Any]:
    """The corpus that the service makes of a folder or an archive.

    Raises:
        CliError: it cannot be read, or holds nothing of use.
    """
    with _archive(path) as archive, upload_bar(silent=silent) as bar:
        told = ToldFile(archive, bar, then="decoding")
        made: dict[str, Any] = api.post(
            "/v1/corpora",
            files={"file": ("corpus.zip", told, "application/zip")},
            data={"request": json_text.dumps(request)},
            timeout=httpx.Timeout(IMPORT_SECONDS, connect=CONNECT_SECONDS),
        )
    return made


def the_id(api: Api, corpus: str) -> str:
    """The id of the corpus of this id or name.

    Raises:
        CliError: none or several have the name.
    """
    if corpus.startswith("corpus_"):
        return corpus
    found = [one["id"] for one in api.pages("/v1/corpora", limit=PAGE) if one["name"] == corpus]
    if len(found) == 1:
        return str(found[0])
    if not found:
        raise CliError(
            f"No corpus is named {corpus!r}. `serval corpus list` shows yours, `serval corpus add"
            " PATH` adds one."
        )
    raise CliError(f"{len(found)} corpora are named {corpus!r}; give an id: {', '.join(found)}")


def fold(text: str | None, speaker: str | None) -> dict[str, Any] | None:
    """What ``--fold 1/5`` or ``--leave-out SPEAKER`` say; None if neither is given.

    Raises:
        CliError: both are given, or the fold is no two numbers.
    """
    if text is not None and speaker is not None:
        raise CliError("--fold and --leave-out are two ways to choose the test; give one.")
    if speaker is not None:
        return {"speaker": speaker}
    if text is None:
        return None
    number, _, of = text.partition("/")
    if not (number.isdecimal() and of.isdecimal()):
        raise CliError(f"--fold is {text!r}; give the number of the fold and how many, as in 1/5")
    return {"number": int(number), "of": int(of)}


Fold = Annotated[
    str | None,
    typer.Option("--fold", help="NUMBER/OF, as in 1/5: the speakers of it are the test."),
]
LeaveOut = Annotated[
    str | None, typer.Option("--leave-out", help="This speaker is the test, all others train.")
]


def _renamings(texts: list[str]) -> dict[str, str]:
    found = {}
    for text in texts:
        old, equals, new = text.partition("=")
        if not (old.strip() and equals and new.strip()):
            raise CliError(f"--label is {text!r}; give OLD=NEW, as in angry=anger")
        found[old] = new
    return found


def _all_skipped(api: Api, id_: str) -> Iterator[dict[str, Any]]:
    seen = 0
    while True:
        page = api.get(path_to("corpora", id_, "skipped"), limit=SKIPPED_PAGE, after=seen)
        yield from page["data"]
        seen += len(page["data"])
        if not page["has_more"]:
            return


def _archive(path: Path) -> IO[bytes]:
    """The archive at ``path``, or one made of the folder there.

    Raises:
        CliError: there is nothing, or nothing of use.
    """
    try:
        if not path.is_dir():
            return path.open("rb")
        files = sorted(one for one in path.rglob("*") if one.is_file() and _of_use(one))
        if not files:
            raise CliError(f"The folder {path} holds no WAV, FLAC or AIFF files.")
        return _packed(path, files)
    except OSError as error:
        raise CliError(f"{path} cannot be read: {error.strerror}.") from error


def _of_use(path: Path) -> bool:
    return path.name == INDEX_NAME or is_audio(path.name)


def _packed(folder: Path, files: list[Path]) -> IO[bytes]:
    """A temporary archive. Recordings hardly shrink, so they are stored as they are."""
    archive = tempfile.TemporaryFile()  # noqa: SIM115  (the caller closes it)
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED, strict_timestamps=False) as packed:
        for path in files:
            packed.write(path, path.relative_to(folder).as_posix())
    archive.seek(0)
    return archive


def _show(corpus: dict[str, Any], *, json: bool) -> None:
    if json:
        print_json(corpus)
        return
    rows = [
        (name, part["clips"], part["speakers"], counted(part["classes"]))
        for name, part in corpus["partitions"].items()
    ]
    rows.append(("all", corpus["clips"], corpus["speakers"], counted(corpus["classes"])))
    hours = corpus["seconds"] / 3600
    title = f"{corpus['id']}  {corpus['name']} ({corpus['format']}, {hours:.2f} h)"
    table(("partition", "clips", "speakers", "emotions"), rows, title=title)
    for warning in corpus["warnings"]:
        typer.echo(warning, err=True)
    for one in corpus["skipped"][:SHOWN_SKIPPED]:
        typer.echo(f"skipped {one['path']}: {one['reason']}", err=True)
    counts = corpus["skipped_counts"]
    if sum(counts.values()) > SHOWN_SKIPPED:
        typer.echo(
            f"skipped {sum(counts.values())} files ({counted(counts)}); `serval corpus skipped"
            f" {corpus['id']}` shows all",
            err=True,
        )
