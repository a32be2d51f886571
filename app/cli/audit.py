"""`serval audit`: how robust a model is."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from app.cli.api import DEFAULT_URL, Api, Key, Url
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
from app.cli.objects import command_with, parse_object, parse_pairs
from app.cli.output import Json, print_json
from app.cli.predict import read
from app.cli.train import NoWait, announce, given

if TYPE_CHECKING:
    from models.attacks import Attack
    from models.corruptions import Corruption
    from models.registry import Registry

PAPER_GRID: Final = "0,0.02,0.04,0.06,0.08,0.1"
PARTITION: Final = "test"
STRENGTHS: Final = ("epsilon", "snr_db")
HARDEN_AT: Final = 0.02
HARDEN_ABOVE: Final = 0.3


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


AuditCommand = command_with(
    {
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
    model: Annotated[str, typer.Option(help="A model's id.")],
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
    label: Annotated[
        list[str] | None, typer.Option(help="Emotion of a recording, once for each.")
    ] = None,
    attack: Annotated[
        list[str] | None,
        typer.Option(
            help='"TYPE NAME=VALUE …" or JSON, once for each: see the list below.',
            show_default="fgsm, without corruptions",
        ),
    ] = None,
    corruption: Annotated[
        list[str] | None,
        typer.Option(
            help='What happens to speech by nature, such as "gain db=-20,6"; once for each.'
        ),
    ] = None,
    preset: Annotated[
        str | None, typer.Option(help="Corruptions of a public benchmark: robuser.")
    ] = None,
    epsilon: Annotated[
        str, typer.Option(help="Strengths, by commas, of each attack that names none.")
    ] = PAPER_GRID,
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
    of_corpora: dict[str, Any] = {"--partition": partition, "--limit": limit, "--fold": fold}
    of_corpora |= {"--leave-out": leave_out, "--allow-partial": allow_partial or None}
    of_corpora |= {"--group-by": group_by}
    _check(clips, corpus, of_corpora, label, harden)
    on: dict[str, Any] = given(
        {
            "partition": partition or PARTITION,
            "fold": the_fold(fold, leave_out),
            "allow_partial": allow_partial or None,
            "group_by": group_by,
            "limit": limit,
        }
    )
    request: dict[str, Any] = given(
        {
            "model": model,
            "attacks": _attacks(
                attack or ([] if corruption or preset else ["fgsm"]), _numbers(epsilon)
            ),
            "corruptions": [parse_object(text, "--corruption") for text in corruption or []]
            or None,
            "preset": preset,
            "windows": None if windows is None else windows.value,
            "precision": None if precision is None else precision.value,
            "max_seconds": max_seconds,
            "seed": seed,
            "harden": _harden(harden, harden_at, harden_above, harden_iterations),
        }
    )
    with Api(url, key) as api:
        if dry_run:
            _forecast(api, request, corpus, on, json=json)
            return
        if corpus is None:
            job = _upload(api, request, clips or [], label or [])
        else:
            job = api.post("/v1/audits", json=request | on | {"corpus": the_id(api, corpus)})
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


def _attacks(texts: list[str], epsilons: list[float]) -> list[dict[str, Any]]:
    """What ``--attack`` says, with strengths."""
    return [_with_strengths(parse_object(text, "--attack"), epsilons) for text in texts]


def _with_strengths(said: dict[str, Any], epsilons: list[float]) -> dict[str, Any]:
    """An attack as the service takes it: strengths are lists, and those of an attack that carries
    out another one stand in that."""
    inner = {name: value for name, value in said.items() if _is_attack(value)}
    if inner:
        return said | {name: _with_strengths(value, epsilons) for name, value in inner.items()}
    given = {name: said[name] for name in STRENGTHS if name in said}
    if not given:
        return said | {"epsilon": epsilons}
    return said | {
        name: value if isinstance(value, list) else [value] for name, value in given.items()
    }


def _is_attack(value: object) -> bool:
    return isinstance(value, dict) and "type" in value


def _forecast(
    api: Api, request: dict[str, Any], corpus: str | None, on: dict[str, Any], *, json: bool
) -> None:
    if corpus is None:
        raise CliError("--dry-run needs --corpus: of recordings the result tells the cost.")
    told = api.post("/v1/audits?dry_run=true", json=request | on | {"corpus": the_id(api, corpus)})
    if json:
        print_json(told)
        return
    about = "" if told["exact"] else "at most "
    typer.echo(
        f"{told['clips']} clips: {about}{told['forwards']} forward and {told['backwards']} backward"
        f" passes, {told['queries']} queries, about {told['seconds']:.0f} s on {told['device']}"
    )


def _check(
    clips: list[Path] | None,
    corpus: str | None,
    of_corpora: dict[str, Any],
    label: list[str] | None,
    harden: str | None,
) -> None:
    """Refuse what would be audited on nothing or on two things, and options without effect."""
    if bool(clips) == (corpus is not None):
        raise CliError("Say what to audit on: either --corpus, or recordings.")
    if corpus is None:
        _needs("--corpus", {**of_corpora, "--harden": harden})
    else:
        _needs("recordings", {"--label": label})


def _needs(what: str, options: dict[str, Any]) -> None:
    """Refuse options that would have no effect: who gives one believes that it has."""
    idle = [name for name, value in options.items() if value not in (None, [])]
    if idle:
        raise CliError(
            f"{', '.join(idle)} would have no effect without {what}: add that, or leave"
            f" {'it' if len(idle) == 1 else 'them'} out."
        )


def _numbers(text: str) -> list[float]:
    try:
        return [float(part) for part in text.split(",")]
    except ValueError as error:
        raise CliError(f"--epsilon is {text!r}; give numbers such as {PAPER_GRID}") from error


def _harden(
    defense: str | None, at: str | None, above: float | None, iterations: int | None
) -> dict[str, Any] | None:
    if defense is None:
        details = {"at": at, "above": above, "iterations": iterations}
        _needs("--harden", {f"--harden-{name}": value for name, value in details.items()})
        return None
    return given(
        {
            "defense": parse_object(defense, "--harden"),
            "when": {
                **_strength(at),
                "success_rate_above": HARDEN_ABOVE if above is None else above,
            },
            "iterations": iterations,
        }
    )


def _strength(at: str | None) -> dict[str, Any]:
    """What decides whether a model is too weak: an ε of log-mels, or pairs."""
    if at is None:
        return {"epsilon": HARDEN_AT}
    if "=" in at:
        return parse_pairs(at.split(), "--harden-at")
    try:
        return {"epsilon": float(at)}
    except ValueError as error:
        raise CliError(
            f'--harden-at is {at!r}; give a number, or "domain=waveform snr_db=40"'
        ) from error


def _upload(api: Api, request: dict[str, Any], clips: list[Path], labels: list[str]) -> Any:
    from json import dumps

    if labels and len(labels) != len(clips):
        raise CliError(f"{len(labels)} labels for {len(clips)} files; give one for each, or none.")
    if labels:
        request |= {"labels": labels}
    files = [("file", (path.name, read(path), "audio/wav")) for path in clips]
    return api.post("/v1/audits", files=files, data={"request": dumps(request)})
