"""What was audited, fact by fact."""

import json
from collections.abc import Iterator
from typing import Final

from app.audits.report import CorpusClips, Report
from app.reports import words

Fact = tuple[str, str]

FEW: Final = 6
"""Entries of a list in a configuration that are told one by one."""


def facts(report: Report) -> list[Fact]:
    """Model, clips, protocol and machine."""
    return [*_model(report), *_clips(report), *_protocol(report), *_machine(report)]


def _model(report: Report) -> Iterator[Fact]:
    model = report.model
    yield "Model", f"{model.name} ({model.id})"
    yield "SHA-256 of its weights", model.sha256
    yield (
        "Network",
        f"{model.architecture}, front end {model.front_end}, window of {model.frames} frames",
    )
    yield "Emotions", ", ".join(model.labels)
    yield "Defence", _plain(model.defense)
    if model.training:
        yield "Training", _brief(model.training)


def _clips(report: Report) -> Iterator[Fact]:
    clips = report.clips
    if isinstance(clips, CorpusClips):
        yield "Corpus", f"{clips.corpus_name} ({clips.corpus})"
        part = clips.partition if clips.fold is None else f"fold {_plain(clips.fold.model_dump())}"
        yield "Partition", f"{part}, {words.count(clips.of, 'clip')} of emotions the model knows"
        if clips.left_out:
            left_out = ", ".join(f"{name} {n:,}" for name, n in clips.left_out.items())
            yield "Left out, as the model does not know them", left_out
    else:
        yield "Clips", f"{clips.uploaded:,} uploaded with the request"
    if clips.sha256 is not None:
        yield "SHA-256 of the clips", clips.sha256


def _protocol(report: Report) -> Iterator[Fact]:
    result = report.result
    scored = f"{result.n:,} of {words.count(result.of, 'clip')}"
    if result.n_unlabelled:
        scored += f", {result.n_unlabelled:,} without a label"
    uar = result.clean.measures.get("uar")
    if uar is not None:
        scored += f", {words.speakers(uar.n_speakers)}"
    yield "Scored", scored if result.complete else f"{scored}; ended at max_seconds"
    windows = "all windows of a clip, averaged" if result.windows == "all" else "the first window"
    yield (
        "Protocol",
        f"{windows}; {result.precision}; seed {report.request.get('seed', 'not told')}",
    )
    cost = result.cost
    yield (
        "Cost",
        f"{cost.forwards:,} forward and {cost.backwards:,} backward passes, {cost.seconds:,.1f} s",
    )


def _machine(report: Report) -> Iterator[Fact]:
    at = report.environment
    yield (
        "Computed with",
        f"Serval {at.serval}, Python {at.python}, torch {at.torch}, numpy {at.numpy}",
    )
    yield "Device", f"{at.device}, {words.count(at.threads, 'thread')}"
    if report.measures:
        versions = sorted(set(report.measures.values()))
        told = ", ".join(f"{name} {n}" for name, n in report.measures.items() if n != 1)
        yield "Versions of the measures", told or f"all {versions[0]}"


def hardened(report: Report) -> list[Fact]:
    """What the request's `harden` came to; empty without one."""
    found = report.result.hardening
    if found is None:
        return []
    told = [
        ("Asked for", _plain(found.when.model_dump(mode="json"))),
        ("Success rate that it goes by", words.number(found.success_rate)),
        ("Triggered", "yes" if found.triggered else "no"),
    ]
    if found.training is not None:
        told.append(("Training", found.training))
    if found.audit is not None:
        told.append(("Audit of the hardened model", found.audit))
    return told


def _brief(value: object) -> str:
    """What a model's configuration says of its training, for a reader: of what has a type, that
    alone, and of long lists how long they are. All of it stands in the JSON."""
    if isinstance(value, dict):
        if isinstance(value.get("type"), str):
            return str(value["type"])
        return ", ".join(f"{name} {_brief(one)}" for name, one in value.items()) or "none"
    if isinstance(value, list) and len(value) > FEW and not isinstance(value[0], dict):
        return f"({len(value)} of them)"
    if isinstance(value, list):
        return f"[{', '.join(_brief(one) for one in value)}]"
    return _plain(value)


def _plain(value: object) -> str:
    """A mapping on one line."""
    if isinstance(value, dict):
        return ", ".join(f"{name} {_plain(one)}" for name, one in value.items()) or "none"
    return value if isinstance(value, str) else json.dumps(value)
