"""In which fields of their circumstances audits differ: one row each.

What follows from another field has no row of its own: a model is one field with its weights, its
architecture and its defence, and a corpus is one with its name. Attacks are matched by type, so
that one more of them is one row and not a shift of all behind it.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from app.audits.report import CorpusClips, Report
from app.comparisons.schemas import Difference

OF_OTHERS: Final = ("model", "corpus")
"""Fields of a request that have rows of their own."""
LISTED: Final = ("attacks", "corruptions")
MODEL: Final = ("id", "name", "sha256", "architecture", "front_end", "frames", "defense")
_ABSENT: Final = object()


def differences(reports: Mapping[str, Report], *, all_fields: bool = False) -> list[Difference]:
    """The rows, in the order of the first audit's fields.

    Args:
        reports: by audit.
        all_fields: whether also the fields that agree have rows.
    """
    told = {audit: _circumstances(report) for audit, report in reports.items()}
    return list(_rows("", told, all_fields=all_fields))


def _circumstances(report: Report) -> dict[str, Any]:
    """A report as a tree of fields. A leaf is what has one row."""
    request = {name: value for name, value in report.request.items() if name not in OF_OTHERS}
    for name in LISTED:
        if name in request:
            request[name] = _by_type(request[name])
    return {
        "model": _Whole({name: getattr(report.model, name) for name in MODEL}),
        "clips": _Whole(_clips(report)),
        "request": request,
        "environment": report.environment.model_dump(mode="json"),
    }


class _Whole(dict[str, Any]):
    """An object that is one field: only what differs in it is shown."""


def _clips(report: Report) -> dict[str, Any]:
    clips = report.clips
    if isinstance(clips, CorpusClips):  # partition and fold stand in the request
        return {"corpus": clips.corpus, "corpus_name": clips.corpus_name}
    return {"uploaded": clips.uploaded}


def _by_type(listed: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """pgd, the second one as pgd#2; their types are their names."""
    seen: Counter[str] = Counter()
    named = {}
    for one in listed:
        kind = str(one["type"])
        seen[kind] += 1
        name = kind if seen[kind] == 1 else f"{kind}#{seen[kind]}"
        named[name] = {key: value for key, value in one.items() if key != "type"}
    return named


def _rows(field: str, values: Mapping[str, Any], *, all_fields: bool) -> Iterator[Difference]:
    found = list(values.values())
    agree = all(one == found[0] for one in found)
    if agree and not all_fields:
        return
    if all(isinstance(one, dict) and not isinstance(one, _Whole) for one in found):
        for name in dict.fromkeys(name for one in found for name in one):
            inner = {audit: one.get(name, _ABSENT) for audit, one in values.items()}
            yield from _rows(f"{field}.{name}" if field else name, inner, all_fields=all_fields)
        return
    if all(isinstance(one, _Whole) for one in found) and not agree and not all_fields:
        values = _what_differs(values)
    shown = {audit: None if one is _ABSENT else one for audit, one in values.items()}
    yield Difference(field=field, values=shown)


def _what_differs(values: Mapping[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    found = list(values.values())
    names = [
        name
        for name in dict.fromkeys(name for one in found for name in one)
        if any(one.get(name) != found[0].get(name) for one in found)
    ]
    return {audit: {name: one.get(name) for name in names} for audit, one in values.items()}
