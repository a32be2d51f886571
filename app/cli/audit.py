"""`serval audit`: how robust a model is."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from app.cli.api import DEFAULT_URL, Api, Key, Url
from app.cli.corpus import the_id
from app.cli.errors import CliError
from app.cli.following import follow, succeeded
from app.cli.output import Json, print_json, table
from app.cli.predict import read
from app.cli.train import Defense, NoWait, announce, given

PAPER_GRID: Final = "0,0.02,0.04,0.06,0.08,0.1"
PARTITION: Final = "test"
HARDEN_AT: Final = 0.02
HARDEN_ABOVE: Final = 0.3


class Labels(StrEnum):
    """What is attacked."""

    TRUE = "true"
    PREDICTED = "predicted"


def audit(
    clips: Annotated[
        list[Path] | None, typer.Argument(help="WAV files, instead of a corpus.")
    ] = None,
    *,
    model: Annotated[str, typer.Option(help="A model's id.")],
    corpus: Annotated[str | None, typer.Option(help="Id or name of the corpus.")] = None,
    partition: Annotated[
        str | None, typer.Option(help="train, dev, test or all.", show_default=PARTITION)
    ] = None,
    limit: Annotated[int | None, typer.Option(help="Audit so many clips only.")] = None,
    label: Annotated[
        list[str] | None, typer.Option(help="Emotion of a WAV file, once for each.")
    ] = None,
    epsilon: Annotated[str, typer.Option(help="Strengths of FGSM, by commas.")] = PAPER_GRID,
    labels: Annotated[Labels, typer.Option(help="What is attacked.")] = Labels.TRUE,
    seed: Annotated[int | None, typer.Option(help="Of the draw that --limit makes.")] = None,
    harden: Annotated[
        Defense | None, typer.Option(help="Train with this defence if the model is too weak.")
    ] = None,
    harden_at: Annotated[
        float | None, typer.Option(help="The ε that decides.", show_default=str(HARDEN_AT))
    ] = None,
    harden_above: Annotated[
        float | None,
        typer.Option(help="The success rate that is too high.", show_default=str(HARDEN_ABOVE)),
    ] = None,
    harden_iterations: Annotated[int | None, typer.Option(help="Of that training.")] = None,
    no_wait: NoWait = False,
    url: Url = DEFAULT_URL,
    key: Key = None,
    json: Json = False,
) -> None:
    """Attack a model on a corpus or on WAV files, and follow the audit to its end."""
    _check(clips, corpus, {"--partition": partition, "--limit": limit}, label, harden)
    request: dict[str, Any] = given(
        {
            "model": model,
            "attacks": [{"type": "fgsm", "epsilon": _numbers(epsilon), "labels": labels.value}],
            "seed": seed,
            "harden": _harden(harden, harden_at, harden_above, harden_iterations),
        }
    )
    with Api(url, key) as api:
        if corpus is None:
            job = _upload(api, request, clips or [], label or [])
        else:
            part = partition or PARTITION
            on = given({"corpus": the_id(api, corpus), "partition": part, "limit": limit})
            job = api.post("/v1/audits", json=request | on)
        if no_wait:
            announce(job, json=json)
            return
        job = follow(api, job, quiet=json)
    if json:
        print_json(job)
    result = succeeded(job)
    if not json:
        _show(result, job)


def _check(
    clips: list[Path] | None,
    corpus: str | None,
    of_corpora: dict[str, Any],
    label: list[str] | None,
    harden: Defense | None,
) -> None:
    """Refuse what would be audited on nothing or on two things, and options without effect."""
    if bool(clips) == (corpus is not None):
        raise CliError("Say what to audit on: either --corpus, or WAV files.")
    if corpus is None:
        _needs("--corpus", {**of_corpora, "--harden": harden})
    else:
        _needs("WAV files", {"--label": label})


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
    defense: Defense | None, epsilon: float | None, above: float | None, iterations: int | None
) -> dict[str, Any] | None:
    if defense is None:
        details = {"at": epsilon, "above": above, "iterations": iterations}
        _needs("--harden", {f"--harden-{name}": value for name, value in details.items()})
        return None
    return given(
        {
            "defense": {"type": defense.value},
            "when": {
                "epsilon": HARDEN_AT if epsilon is None else epsilon,
                "success_rate_above": HARDEN_ABOVE if above is None else above,
            },
            "iterations": iterations,
        }
    )


def _upload(api: Api, request: dict[str, Any], clips: list[Path], labels: list[str]) -> Any:
    from json import dumps

    if labels and len(labels) != len(clips):
        raise CliError(f"{len(labels)} labels for {len(clips)} files; give one for each, or none.")
    if labels:
        request |= {"labels": labels}
    files = [("file", (path.name, read(path), "audio/wav")) for path in clips]
    return api.post("/v1/audits", files=files, data={"request": dumps(request)})


def _show(result: dict[str, Any], job: dict[str, Any]) -> None:
    clean = result["clean"]
    title = f"{job['model']} on {result['n']} clips: "
    title += f"UAR {clean['uar']:.3f}" if clean.get("uar") is not None else "no labels, so no UAR"
    rows = [
        (
            point["attack"],
            point["epsilon"],
            point.get("uar"),
            point.get("success_rate"),
            (point.get("counts") or {}).get("right_wrong"),
            point.get("survives_as_audio"),
        )
        for point in result["curve"]
    ]
    table(("attack", "ε", "UAR", "success", "right→wrong", "survives as audio"), rows, title=title)
    hardening = result.get("hardening")
    if hardening:
        typer.echo("hardening: " + ", ".join(f"{k} {v}" for k, v in hardening.items() if v))
    for warning in job["warnings"]:
        typer.echo(warning, err=True)
