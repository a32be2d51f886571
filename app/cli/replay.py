"""`serval replay` and `serval verify`: what somebody does with a bundle or a report from elsewhere.
Neither needs a service."""

import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, NoReturn

import typer
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from app.cli.output import Json, console, err_console, print_json, table

if TYPE_CHECKING:
    from app.replay.outcome import Outcome
    from app.replay.replaying import Replay
    from app.signing.signatures import Verdict

CHANGED: Final = 1
UNUSABLE: Final = 2
INTERRUPTED: Final = 130
MOST_SHOWN: Final = 20

Known = Annotated[
    list[str] | None,
    typer.Option(
        "--key",
        help="A key that you know: the file of a public key in PEM, or a fingerprint. Once for"
        " each; without one, any key will do, and is named.",
    ),
]
File = Annotated[Path, typer.Argument(help="A report or a replay bundle.", show_default=False)]


def verify(
    file: File,
    *,
    signature: Annotated[
        Path | None,
        typer.Option(help="Of a report; of a bundle it is inside.", show_default="FILE.sig"),
    ] = None,
    key: Known = None,
    json: Json = False,
) -> None:
    """Say whether a byte of a report or a bundle has changed since it was signed, and by which key.

    Exit code 0: none has. 1: one has, or the key is none of those that were named. 2: it cannot be
    said, for want of a signature or a file.
    """
    known = _fingerprints(key or [])
    verdict = _verdict(file, signature, known)
    fine = not verdict.faults and verdict.trusted is not False
    if json:
        print_json(
            {
                "object": "verification",
                "unchanged": not verdict.faults,
                "faults": [{"part": one.part, "why": one.why} for one in verdict.faults],
                "key": None if verdict.signature is None else verdict.signature.key,
                "key_known": verdict.trusted,
                "audit": None if verdict.signature is None else verdict.signature.audit,
            }
        )
    else:
        _show(file, verdict)
    raise typer.Exit(0 if fine else CHANGED)


def replay(
    bundle: Annotated[Path, typer.Argument(help="A replay bundle.", show_default=False)],
    *,
    corpus: Annotated[
        Path | None,
        typer.Option(
            help="The folder or zip archive that has the recordings, where the bundle has not. They"
            " are found by their SHA-256, whatever they are called."
        ),
    ] = None,
    model: Annotated[
        list[Path] | None,
        typer.Option(
            help="A folder with the config.json and model.safetensors of a model that the bundle"
            " has the hash of alone; once for each."
        ),
    ] = None,
    key: Known = None,
    json: Json = False,
) -> None:
    """Run the audit of a bundle again, on the CPU, and say whether it comes to the same counts.

    Exit code 0: it does, clip by clip. 1: it does not; what differs is listed. 2: the bundle cannot
    be replayed: a byte has changed, or recordings or models are missing.
    """
    from app.replay.reading import Unusable, open_bundle
    from app.replay.replaying import Replay

    known = _fingerprints(key or [])
    try:
        opened = open_bundle(bundle, known)
        signed = opened.verdict.signature
        if signed is not None and not json:
            _remark(_about_key(opened.verdict))
        prepared = Replay(opened, model or [])
        outcome = _watched(prepared, corpus, quiet=json)
    except Unusable as error:
        _fail(str(error))
    except OSError as error:
        _fail(f"{bundle} cannot be read: {error.strerror or error}.")
    except KeyboardInterrupt:  # which is no difference
        raise typer.Exit(INTERRUPTED) from None
    said = _namer(prepared)
    if json:
        print_json(outcome.to_dict(said))
    else:
        _show_outcome(outcome, said)
    raise typer.Exit(0 if outcome.same else CHANGED)


def _watched(prepared: "Replay", corpus: Path | None, *, quiet: bool) -> "Outcome":
    err = err_console()
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("passes"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=err,
        disable=quiet or not err.is_terminal,
    )
    cost = prepared.cost
    with bar:
        task = bar.add_task(f"{prepared.clips} clips", total=cost.forwards + cost.backwards)

        def on_pass(forwards: int, backwards: int) -> None:
            bar.advance(task, forwards + backwards)

        return prepared.run(corpus, on_pass)


def _namer(prepared: "Replay") -> Callable[[int], str]:
    """What a point of the curve is called."""
    from models.audit import points

    places = points(prepared.attacks)

    def said(place: int) -> str:
        if place < 0:
            return "clean"
        point = places[place]
        attack = prepared.attacks[point.attack]
        return f"{attack.describe()}, {point.strength:g} {attack.threat.unit}"

    return said


def _show_outcome(outcome: "Outcome", said: Callable[[int], str]) -> None:
    if outcome.same:
        _say(
            f"The same counts: {outcome.clips} clips, clean and at {len(outcome.points)} points of"
            " the curve, each prediction as in the bundle. Largest difference of a score:"
            f" {outcome.largest:.6f}."
        )
    else:
        clips = len({one.number for one in outcome.differences})
        _say(f"It differs: {clips} of {outcome.clips} clips came out otherwise.")
    table(
        ("point", "clips", "succeeded then", "now", "right to wrong then", "now"),
        [
            (
                said(place),
                then.clips,
                then.succeeded,
                now.succeeded,
                then.right_wrong,
                now.right_wrong,
            )
            for place, (then, now) in enumerate(outcome.counts)
        ],
    )
    if outcome.differences:
        shown = outcome.differences[:MOST_SHOWN]
        table(
            ("clip", "name", "at", "what", "then", "now"),
            [
                (
                    one.number,
                    printable(one.clip),
                    said(one.place),
                    one.what,
                    printable(str(one.then)),
                    printable(str(one.now)),
                )
                for one in shown
            ],
            title=f"{len(shown)} of {len(outcome.differences)} differences (all: --json)",
        )
    for place in outcome.unlike_rows:
        _say(f"The report's counts at {said(place)} are not those of its own rows.")
    for name, (then, now) in outcome.versions.items():
        _say(f"{name}: {then} then, {now} now")


def _verdict(file: Path, signature: Path | None, known: set[str]) -> "Verdict":
    from app.replay.container import looks_like_one
    from app.replay.reading import verify_bundle
    from app.signing.signatures import MOST_BYTES, measured_file
    from app.signing.signatures import verify as hold

    beside = signature or file.with_name(f"{file.name}.sig")
    try:
        if looks_like_one(file):
            if signature is not None:
                _fail(f"{file} is a bundle, whose signature is inside: leave --signature out.")
            return verify_bundle(file, known)
        with beside.open("rb") as opened:
            document = opened.read(MOST_BYTES + 1)
        return hold(document, [measured_file(_part_name(document), file)], known)
    except OSError as error:
        if error.filename != str(beside):
            _fail(f"{file} cannot be read: {error.strerror or error}.")
        _fail(
            f"{beside} cannot be read: {error.strerror or error}. Save the report's signature"
            " there, byte for byte: GET /v1/audits/ID/report/signature?format=json (or html, pdf)."
        )


def _part_name(document: bytes) -> str:
    """What the signature calls the one file that it is of, whatever that is called here."""
    from pydantic import ValidationError

    from app.signing.schemas import Signature

    try:
        return Signature.model_validate_json(document).parts[0].name
    except ValidationError:
        return "file"


def _fingerprints(keys: list[str]) -> set[str]:
    from app.signing.ed25519 import LONGEST_PEM_BYTES, BadKey, fingerprint, read_public

    found = set()
    for key in keys:
        if re.fullmatch("[0-9a-fA-F]{64}", key):
            found.add(key.lower())
            continue
        try:
            with Path(key).open("rb") as file:
                found.add(fingerprint(read_public(file.read(LONGEST_PEM_BYTES))))
        except (OSError, ValueError) as error:
            told = str(error) if isinstance(error, BadKey) else "no file that can be read"
            _fail(
                f"--key is {key!a}, which is {told}: give the file of an Ed25519 public key in PEM,"
                " or a fingerprint of 64 hexadecimal digits."
            )
    return found


def _show(file: Path, verdict: "Verdict") -> None:
    for fault in verdict.faults[:MOST_SHOWN]:
        _say(f"CHANGED  {fault.part}: {fault.why}")
    if verdict.faults:
        _say(f"{file} is not as it was signed.")
        return
    if verdict.signature is not None:
        parts = len(verdict.signature.parts)
        what = "1 part" if parts == 1 else f"{parts} parts"
        _say(f"{file}: {what} of {verdict.signature.audit}, unchanged since they were signed.")
    _say(_about_key(verdict))


def _about_key(verdict: "Verdict") -> str:
    name = "" if verdict.signature is None else verdict.signature.key
    if verdict.trusted is None:
        return (
            f"Signed by key {name}, which you must know: compare it with one that you got another"
            " way (GET /v1/signing-key), and give it as --key. What a signature does not say:"
            " docs/signatures.md."
        )
    if verdict.trusted:
        return f"Signed by key {name}, one of those that you named."
    return f"NOT TRUSTED: signed by key {name}, which is none of those that you named."


def _say(text: str) -> None:
    console().print(printable(text), soft_wrap=True)


def _remark(text: str) -> None:
    err_console().print(printable(text), soft_wrap=True)


def _fail(message: str) -> NoReturn:
    sys.stderr.write(f"{printable(message)}\n")
    raise typer.Exit(UNUSABLE)


def printable(text: str) -> str:
    """Text from a file of others as a terminal may have it: what would steer it is spelt out."""
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode("ascii")
        for letter in text
    )
