"""What the options of `serval audit` ask for, as the service takes it."""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from app.cli.errors import CliError
from app.cli.objects import parse_object, parse_pairs
from app.cli.train import given

PAPER_GRID: Final = "0.02,0.04,0.06,0.08,0.1"
PARTITION: Final = "test"
PRESET: Final = "quick"
STRENGTHS: Final = ("epsilon", "snr_db")
HARDEN_AT: Final = 0.02
HARDEN_ABOVE: Final = 0.3
OPTIONS: Final = {"fold": "--fold or --leave-out"}
"""What options are called that are no names of fields."""
WITH_A_CONTROL: Final = ("fgsm", "noise")
"""What strengths alone ask for."""


def read_request(name: str) -> dict[str, Any]:
    """The request in a file, or on standard input if it is called ``-``.

    Raises:
        CliError: it cannot be read, or is no JSON object.
    """
    try:
        text = sys.stdin.read() if name == "-" else Path(name).read_text(encoding="utf-8")
        found = json.loads(text)
    except OSError as error:
        raise CliError(f"{name} cannot be read: {error.strerror}.") from error
    except (ValueError, RecursionError) as error:
        raise CliError(f"--request {name} is not JSON: {error}") from error
    if not isinstance(found, dict):
        raise CliError(f"--request {name} holds no JSON object, such as the `input` of an audit.")
    return found


def with_defaults(body: dict[str, Any]) -> dict[str, Any]:
    """A request with what is run if it names nothing, and where."""
    if not any(name in body for name in ("preset", "attacks", "corruptions")):
        body = body | {"preset": PRESET}
    return {"partition": PARTITION, **body} if "corpus" in body else body


def check(
    body: Mapping[str, Any],
    clips: Sequence[Path],
    of_corpora: Mapping[str, Any],
    said: Mapping[str, Any],
) -> None:
    """Refuse what would be audited on nothing or on two things, and options without effect.

    Args:
        body: the request.
        clips: recordings to audit on.
        of_corpora: fields that options gave, and that a corpus alone has.
        said: all other fields that options gave.

    Raises:
        CliError: saying what to give.
    """
    if "model" not in body:
        raise CliError("Say which model to audit: --model, or in the file of --request.")
    if bool(clips) == ("corpus" in body):
        raise CliError("Say what to audit on: either --corpus, or recordings.")
    if clips:
        idle = {OPTIONS.get(name, f"--{name.replace('_', '-')}"): 1 for name in of_corpora}
        needs("--corpus", idle | {"--harden": said.get("harden")})
    else:
        needs("recordings", {"--label": said.get("labels")})
    labels = body.get("labels")
    if clips and isinstance(labels, list) and len(labels) != len(clips):
        raise CliError(f"{len(labels)} labels for {len(clips)} files; give one for each, or none.")


def attacks(texts: list[str], epsilon: str | None, *, alone: bool) -> list[dict[str, Any]] | None:
    """What ``--attack`` and ``--epsilon`` say; None if they say nothing.

    Args:
        alone: whether nothing else is asked for.

    Raises:
        CliError: it is no attack and no list of strengths, or strengths of nothing.
    """
    if not texts:
        if epsilon is None:
            return None
        if not alone:
            needs("--attack", {"--epsilon": epsilon})
    epsilons = numbers(PAPER_GRID if epsilon is None else epsilon)
    said = [parse_object(text, "--attack") for text in texts or WITH_A_CONTROL]
    return [_with_strengths(one, epsilons) for one in said]


def _with_strengths(said: dict[str, Any], epsilons: list[float]) -> dict[str, Any]:
    """An attack as the service takes it: strengths are lists, and those of an attack that carries
    out another one stand in that."""
    inner = {name: value for name, value in said.items() if _is_attack(value)}
    if inner:
        return said | {name: _with_strengths(value, epsilons) for name, value in inner.items()}
    strengths = {name: said[name] for name in STRENGTHS if name in said}
    if not strengths:
        return said | {"epsilon": epsilons}
    return said | {
        name: value if isinstance(value, list) else [value] for name, value in strengths.items()
    }


def _is_attack(value: object) -> bool:
    return isinstance(value, dict) and "type" in value


def hardening(
    defense: str | None, at: str | None, above: float | None, iterations: int | None
) -> dict[str, Any] | None:
    """What ``--harden`` and its details say; None if it is not given.

    Raises:
        CliError: details are given without it, or do not hold.
    """
    if defense is None:
        details = {"at": at, "above": above, "iterations": iterations}
        needs("--harden", {f"--harden-{name}": value for name, value in details.items()})
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


def needs(what: str, options: Mapping[str, Any]) -> None:
    """Refuse options that would have no effect: who gives one believes that it has.

    Raises:
        CliError: one of them has a value.
    """
    idle = [name for name, value in options.items() if value not in (None, [])]
    if idle:
        raise CliError(
            f"{', '.join(idle)} would have no effect without {what}: add that, or leave"
            f" {'it' if len(idle) == 1 else 'them'} out."
        )


def numbers(text: str) -> list[float]:
    """Strengths, by commas.

    Raises:
        CliError: one is no number.
    """
    try:
        return [float(part) for part in text.split(",")]
    except ValueError as error:
        raise CliError(f"--epsilon is {text!r}; give numbers such as {PAPER_GRID}") from error
