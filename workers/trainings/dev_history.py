"""What a training was worth on `dev` at each evaluation, those of earlier attempts included."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from models.overfitting import Point

MOST_ENTRIES: Final = 1_000
"""Of a result: whoever evaluates after each iteration gets them evenly thinned."""


class DevHistory:
    """The evaluations of one training, in order.

    Args:
        told: data of the events that told of them. After a kill some are told twice.
        until: iterations that are done: what an attempt did beyond its checkpoint is done again.
    """

    def __init__(self, told: Iterable[Mapping[str, Any]] = (), until: int = 0) -> None:
        self._entries: dict[int, dict[str, Any]] = {}
        for one in told:
            if one["iteration"] <= until:
                self.add(one)

    def __contains__(self, iteration: int) -> bool:
        return iteration in self._entries

    def add(self, entry: Mapping[str, Any]) -> None:
        """Add the evaluation after ``entry["iteration"]`` iterations."""
        kept = {name: value for name, value in entry.items() if name != "partition"}
        self._entries[entry["iteration"]] = kept

    def points(self, after: int) -> list[Point]:
        """Those of later iterations that were attacked, as :mod:`models.overfitting` sees them."""
        return [
            _point(iteration, one)
            for iteration, one in sorted(self._entries.items())
            if iteration > after and one["fgsm_uar"] and one.get("pgd_uar")
        ]

    def to_result(self) -> list[dict[str, Any]]:
        """All of them, or as many as a result may have, the last among them."""
        entries = [one for _, one in sorted(self._entries.items())]
        every = -(-len(entries) // MOST_ENTRIES) or 1
        return entries[::-1][::every][::-1]


def _point(iteration: int, entry: Mapping[str, Any]) -> Point:
    """Of an evaluation at one strength, that of the training."""
    (fgsm,), (pgd,) = entry["fgsm_uar"].values(), entry["pgd_uar"].values()
    return Point(iteration, fgsm, pgd, entry["pgd_clips"])
