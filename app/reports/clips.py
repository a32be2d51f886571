"""The clips that a report lists: those that attacks broke most, of an audit of any size.

The rows are read one by one, and no more are kept than are shown.
"""

import heapq
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from app.reports import words
from app.reports.charts.curves import smaller_is_harder
from models.audit.result import AttackOfResult

MOST: Final = 200
"""Rows in a report. All of them are at the service."""


@dataclass(frozen=True)
class ClipShown:
    """A row of the list.

    Attributes:
        clean: the prediction for the clip as it is, with its score.
        attacked: the same under the weakest attack that breaks it, or "".
        by: which that is, or "".
        broken: how many attacks and strengths break it.
        of: how many were run on it.
    """

    index: int
    clip: str
    label: str
    speaker: str
    clean: str
    attacked: str
    by: str
    broken: int
    of: int
    smallest: str


def worst_clips(
    rows: Iterable[Mapping[str, Any]], attacks: Sequence[AttackOfResult], most: int = MOST
) -> list[ClipShown]:
    """Those that the largest number of attacks and strengths broke, the most broken first.

    Args:
        rows: as they are stored, in their order.
        most: that are listed.
    """
    names = words.attack_names(attacks)
    adversaries = {attack.index for attack in attacks if not attack.control}
    kept = heapq.nlargest(
        most, ((_broken(row, adversaries), -row["index"], row) for row in rows), key=_first_two
    )
    return [_shown(row, attacks, names, adversaries) for _, _, row in kept]


def _first_two(item: tuple[int, int, Mapping[str, Any]]) -> tuple[int, int]:
    return item[0], item[1]


def _broken(row: Mapping[str, Any], adversaries: set[int]) -> int:
    return sum(one["success"] is True for one in row["attacked"] if one["attack"] in adversaries)


def _shown(
    row: Mapping[str, Any],
    attacks: Sequence[AttackOfResult],
    names: Sequence[str],
    adversaries: set[int],
) -> ClipShown:
    own = [one for one in row["attacked"] if one["attack"] in adversaries]
    first = _weakest(own, attacks)
    smallest = [
        f"{words.strength(one['strength'], attacks[one['attack']].threat)}"
        for one in row.get("minimum") or []
        if one["strength"] is not None
    ]
    by = ""
    if first is not None:
        threat = attacks[first["attack"]].threat
        by = f"{names[first['attack']]} at {words.strength(first['strength'], threat)}"
    return ClipShown(
        index=row["index"],
        clip=words.legible(row["clip"]),
        label=_name(row["label"]),
        speaker=_name(row["speaker"]),
        clean=_said(row["clean"]),
        attacked="" if first is None else _said(first),
        by=by,
        broken=_broken(row, adversaries),
        of=len(own),
        smallest=", ".join(smallest),
    )


def _weakest(
    own: Sequence[Mapping[str, Any]], attacks: Sequence[AttackOfResult]
) -> Mapping[str, Any] | None:
    """The weakest success, of the first threat model in the request that has one; of equal ones
    the first attack's. None if nothing succeeded."""
    won = [one for one in own if one["success"] is True]
    if not won:
        return None
    threat = attacks[won[0]["attack"]].threat
    sign = -1 if smaller_is_harder(attacks, threat) else 1
    same = [one for one in won if attacks[one["attack"]].threat == threat]
    return min(same, key=lambda one: sign * float(one["strength"]))


def _name(text: str | None) -> str:
    return words.NOTHING if text is None else words.legible(text, 60)


def _said(prediction: Mapping[str, Any]) -> str:
    """A label with its score, such as "fear .81"."""
    score = prediction["scores"].get(prediction["label"])
    return f"{words.legible(prediction['label'], 60)} {words.number(score)}"
