"""What a card says to programs: tags, and the figures of the audit as `model-index`.

`model-index` has no field for an interval, so its ends, n and speakers are arguments of each
metric. A control is a metric of its own beside the attack. Nothing is ever called `verified`, which
only the Hub itself may say.
"""

from collections.abc import Iterator
from typing import Any, Final

from app.audits.report import Report, UploadedClips
from models.audit.figure import Figure
from models.audit.result import AttackOfResult, AuditSummary

TASK: Final = {"type": "audio-classification", "name": "Speech emotion recognition"}
TAGS: Final = ["speech-emotion-recognition", "adversarial-robustness", "serval"]
CLEAN: Final = ("uar", "accuracy", "ece")
ATTACKED: Final = ("uar", "success_rate", "over_control")
MOST_POINTS: Final = 100
"""Of the curve; a Hub lists each figure in a line of its own."""

Metric = dict[str, Any]


def metadata(report: Report, *, figures: bool) -> dict[str, Any]:
    """The metadata block.

    Args:
        figures: whether the evidence bears them.
    """
    block: dict[str, Any] = {
        "pipeline_tag": TASK["type"],
        "library_name": "serval",
        "tags": TAGS,
    }
    metrics = list(_metrics(report.result)) if figures else []
    if metrics:
        result = {"task": TASK, "dataset": dataset(report), "metrics": metrics}
        block["model-index"] = [{"name": report.model.name, "results": [result]}]
    return block


def dataset(report: Report) -> dict[str, Any]:
    """What it was measured on."""
    clips = report.clips
    digest = clips.model_dump().get("sha256")  # reports of before there was one lack it
    args = {"clips": report.result.n} | ({} if digest is None else {"sha256": digest})
    if isinstance(clips, UploadedClips):
        return {"type": "uploaded", "name": "Uploaded recordings", "args": args}
    return {
        "type": clips.corpus,
        "name": clips.corpus_name,
        "split": str(clips.partition),
        "args": args,
    }


def _metrics(result: AuditSummary) -> Iterator[Metric]:
    for name in CLEAN:
        yield from _metric(name, "clean clips", result.clean.measures.get(name), {})
    for case in result.worst_case:
        threat = case.threat
        at = f"worst case, {threat.domain} {threat.norm} {case.strength:g} {threat.unit}"
        about = {"threat": f"{threat.domain} {threat.norm}", "strength": case.strength}
        for name in ATTACKED:
            yield from _metric(name, at, case.measures.get(name), about)
    for point in result.curve[:MOST_POINTS]:
        attack = result.attacks[point.attack]
        at = f"{attack_name(attack)} {point.strength:g} {attack.threat.unit}"
        about = {
            "attack": attack.type,
            "index": attack.index,
            "strength": point.strength,
            "control": attack.control,
        }
        for name in ATTACKED:
            yield from _metric(name, at, point.measures.get(name), about)


def attack_name(attack: AttackOfResult) -> str:
    """Its type, and what it is if it is no attack."""
    if attack.threat.domain == "corruption":
        return f"{attack.type} (corruption)"
    return f"{attack.type} (benign control)" if attack.control else attack.type


def _metric(name: str, at: str, figure: Figure | None, about: dict[str, Any]) -> Iterator[Metric]:
    """A figure with its interval; none where there is nothing that it could be taken of."""
    if figure is None or figure.value is None:
        return
    args: dict[str, Any] = {"n": figure.n, "method": figure.method}
    if figure.n_speakers is not None:
        args["n_speakers"] = figure.n_speakers
    if figure.interval is not None:
        args |= {"low": figure.interval[0], "high": figure.interval[1]}
    yield {
        "type": name,
        "value": figure.value,
        "name": f"{name}, {at}",
        "args": args | about,
    }
