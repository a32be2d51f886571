"""`serval audit`: how robust a model is."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.cli.api import DEFAULT_URL, Api, Key, Url
from app.cli.audit_request import (
    HARDEN_ABOVE,
    HARDEN_AT,
    PAPER_GRID,
    PARTITION,
    PRESET,
    attacks,
    check,
    hardening,
    read_request,
    with_defaults,
)
from app.cli.audit_result import show_audit
from app.cli.corpus import Fold, LeaveOut, the_id
from app.cli.corpus import fold as the_fold
from app.cli.errors import CliError
from app.cli.following import follow, succeeded
from app.cli.gate import (
    AllowInvalid,
    Asked,
    Baseline,
    FailIf,
    GatesFrom,
    JUnit,
    LeastEvidence,
    Markdown,
    judge_job,
    with_gate_exits,
)
from app.cli.objects import command_with, parse_object
from app.cli.output import Json, print_json
from app.cli.predict import read
from app.cli.train import NoWait, announce, given

if TYPE_CHECKING:
    from models.attacks import Attack
    from models.catalogue import Catalogue
    from models.corruptions import Corruption
    from models.presets import Preset
    from models.registry import Registry


class Windows(StrEnum):
    """Which part of a long clip is scored."""

    ALL = "all"
    FIRST = "first"


class Precision(StrEnum):
    """Of convolutions on a GPU."""

    FLOAT32 = "float32"
    TF32 = "tf32"


def _registry() -> "Registry[Attack]":
    from models.attacks import ATTACKS

    return ATTACKS


def _corruptions() -> "Registry[Corruption]":
    from models.corruptions import CORRUPTIONS

    return CORRUPTIONS


def _presets() -> "Catalogue[type[Preset]]":
    from models.presets import PRESETS

    return PRESETS


AuditCommand = command_with(
    {
        "Presets": _presets,
        "Attacks, and what they take": _registry,
        "Corruptions, and what they take": _corruptions,
    }
)


@with_gate_exits
def audit(
    clips: Annotated[
        list[Path] | None, typer.Argument(help="Recordings, instead of a corpus.")
    ] = None,
    *,
    model: Annotated[
        str | None, typer.Option(help="A model's id.", show_default="that of --request")
    ] = None,
    corpus: Annotated[str | None, typer.Option(help="Id or name of the corpus.")] = None,
    partition: Annotated[
        str | None, typer.Option(help="train, dev, test or all.", show_default=PARTITION)
    ] = None,
    fold: Fold = None,
    leave_out: LeaveOut = None,
    allow_partial: Annotated[
        bool,
        typer.Option(
            "--allow-partial",
            help="Also where the model does not know the emotions of most of the clips.",
        ),
    ] = False,
    group_by: Annotated[
        str | None, typer.Option(help="Also compare groups of this column of the corpus' index.")
    ] = None,
    limit: Annotated[int | None, typer.Option(help="Audit so many clips only.")] = None,
    detector: Annotated[
        bool, typer.Option("--detector", help="Ask the model's detector too: how many pass it?")
    ] = False,
    label: Annotated[
        list[str] | None, typer.Option(help="Emotion of a recording, once for each.")
    ] = None,
    preset: Annotated[
        str | None,
        typer.Option(
            help="Attacks and corruptions under one name, beside those given: see the list below.",
            show_default=f"{PRESET}, if there is nothing else to run",
        ),
    ] = None,
    transfer_from: Annotated[
        str | None,
        typer.Option(help="A model that a preset which takes one carries out attacks on, too."),
    ] = None,
    attack: Annotated[
        list[str] | None,
        typer.Option(help='"TYPE NAME=VALUE …" or JSON, once for each: see the list below.'),
    ] = None,
    corruption: Annotated[
        list[str] | None,
        typer.Option(
            help='What happens to speech by nature, such as "gain db=-20,6"; once for each.'
        ),
    ] = None,
    epsilon: Annotated[
        str | None,
        typer.Option(
            help="Strengths, by commas, of each --attack that names none; without any, those of"
            " fgsm and noise.",
            show_default=PAPER_GRID,
        ),
    ] = None,
    request: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="JSON of a request, as `input` of an audit; - is standard input. What options say"
            " counts before it.",
        ),
    ] = None,
    windows: Annotated[
        Windows | None, typer.Option(help="Of a long clip.", show_default=Windows.ALL.value)
    ] = None,
    precision: Annotated[
        Precision | None,
        typer.Option(help="On a GPU.", show_default=Precision.FLOAT32.value),
    ] = None,
    max_seconds: Annotated[
        float | None, typer.Option(help="End after so long, with what is scored.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what it would cost, and queue nothing.")
    ] = False,
    measure: Annotated[
        list[str] | None,
        typer.Option(help="Show this figure of each point too, with its interval; once for each."),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Of every random draw.")] = None,
    harden: Annotated[
        str | None,
        typer.Option(help="Train with this defence if the model is too weak: its type, or more."),
    ] = None,
    harden_at: Annotated[
        str | None,
        typer.Option(
            help='The ε that decides, or "domain=waveform snr_db=40".',
            show_default=str(HARDEN_AT),
        ),
    ] = None,
    harden_above: Annotated[
        float | None,
        typer.Option(help="The success rate that is too high.", show_default=str(HARDEN_ABOVE)),
    ] = None,
    harden_iterations: Annotated[int | None, typer.Option(help="Of that training.")] = None,
    fail_if: FailIf = None,
    baseline: Baseline = None,
    gate: GatesFrom = None,
    evidence: LeastEvidence = None,
    allow_invalid: AllowInvalid = False,
    junit: JUnit = None,
    markdown: Markdown = None,
    no_wait: NoWait = False,
    url: Url = DEFAULT_URL,
    key: Key = None,
    json: Json = False,
) -> None:
    """Attack a model, or corrupt its clips, on a corpus or recordings, and follow the audit."""
    gates = Asked(
        fail_if=fail_if,
        baseline=baseline,
        gate=gate,
        evidence=evidence,
        allow_invalid=allow_invalid,
        junit=junit,
        markdown=markdown,
    )
    gates.check(dry_run=dry_run, no_wait=no_wait)
    on: dict[str, Any] = given(
        {
            "partition": partition,
            "fold": the_fold(fold, leave_out),
            "allow_partial": allow_partial or None,
            "group_by": group_by,
            "limit": limit,
        }
    )
    said: dict[str, Any] = given(
        {
            "model": model,
            "corpus": corpus,
            "preset": preset,
            "detector": detector or None,
            "transfer_from": transfer_from,
            "attacks": attacks(attack or [], epsilon, alone=not (corruption or preset or request)),
            "corruptions": [parse_object(text, "--corruption") for text in corruption or []]
            or None,
            "windows": None if windows is None else windows.value,
            "precision": None if precision is None else precision.value,
            "max_seconds": max_seconds,
            "seed": seed,
            "harden": hardening(harden, harden_at, harden_above, harden_iterations),
            "labels": label,
        }
    )
    body = with_defaults(({} if request is None else read_request(request)) | said | on)
    check(body, clips or [], on, said)
    with Api(url, key) as api:
        if isinstance(body.get("corpus"), str):
            body["corpus"] = the_id(api, body["corpus"])
        if dry_run:
            _forecast(api, body, json=json)
            return
        job = _submit(api, body, clips or [])
        if no_wait:
            announce(job, json=json)
            return
        job = follow(api, job, quiet=json)
        if gates:
            if not json and job["status"] == "succeeded":
                show_audit(job["result"], job, measure or [])
            judge_job(api, job, gates, json=json)
    if json:
        print_json(job)
    result = succeeded(job)
    if not json:
        show_audit(result, job, measure or [])


def _forecast(api: Api, body: dict[str, Any], *, json: bool) -> None:
    if "corpus" not in body:
        raise CliError("--dry-run needs --corpus: of recordings the result tells the cost.")
    told = api.post("/v1/audits?dry_run=true", json=body)
    if json:
        print_json(told)
        return
    about = "" if told["exact"] else "at most "
    typer.echo(
        f"{told['clips']} clips: {about}{told['forwards']} forward and {told['backwards']} backward"
        f" passes, {told['queries']} queries, about {told['seconds']:.0f} s on {told['device']}"
    )


def _submit(api: Api, body: dict[str, Any], clips: list[Path]) -> Any:
    from json import dumps

    if "corpus" in body:
        return api.post("/v1/audits", json=body)
    files = [("file", (path.name, read(path), "audio/wav")) for path in clips]
    return api.post("/v1/audits", files=files, data={"request": dumps(body)})
