"""Audits as the service answers them, of rows written by hand."""

from typing import Any

from app.gates.audit import Audit
from models.attacks import Attack
from models.attacks.fgsm import Fgsm
from models.attacks.noise import Noise
from models.audit.result import Scale
from models.audit.summary import summarize
from tests.models.audit.rows import LABELS, row, under

ATTACKS: tuple[Attack, ...] = (Fgsm(epsilon=(0.02, 0.1)), Noise(epsilon=(0.02,)))


def result(
    attacks: tuple[Attack, ...] = ATTACKS, speakers: int = 8, **fields: Any
) -> dict[str, Any]:
    """Of an audit of 24 clips in which every attack breaks a third of them, and noise none."""
    rows = []
    for clip in range(24):
        said = LABELS[clip % 3]
        rows.append(
            row(
                said,
                said,
                [
                    under(number, strength, "c" if said == "a" and not attack.control else said)
                    for number, attack in enumerate(attacks)
                    for strength in attack.strengths
                ],
                index=clip,
                speaker=f"s{clip % speakers}",
            )
        )
    scale = Scale(lowest=1, median=1, highest=1)
    found = summarize(rows, LABELS, attacks, of=24, scale=scale, seconds={})
    return found.model_dump(mode="json") | {"evidence": "sound", "checks": []} | fields


def check(
    id_: str, severity: str = "weak", status: str = "raised", **fields: Any
) -> dict[str, Any]:
    """What an audit says of a check."""
    found = {
        "id": id_,
        "version": 1,
        "title": f"title of {id_}",
        "severity": severity,
        "status": status,
        "measured": "4 clips of disgust",
        "reason": None,
        "remedy": {"text": f"mend {id_}", "request": {"limit": None}},
    }
    return found | fields


def audit(**fields: Any) -> Audit:
    """An audit that has succeeded, with these fields of its result."""
    return Audit.model_validate(answered(**fields))


def answered(**fields: Any) -> dict[str, Any]:
    """The same, as JSON."""
    return {
        "id": "audit_01K9ZQ3W8M4V7T2X6B5N0C1DEF",
        "status": "succeeded",
        "model": "cnn4-single-cremad",
        "result": result(**fields),
        "error": None,
    }
