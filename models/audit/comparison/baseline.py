"""Differences between a baseline and an audit by names, for gates: `delta_worst_uar@0.02`."""

from collections import Counter
from collections.abc import Callable, Sequence

from models.audit.comparison.common import common
from models.audit.comparison.deltas import Delta, deltas
from models.audit.comparison.outcomes import Outcomes


def against_baseline(baseline: Outcomes, audit: Outcomes) -> dict[str, Delta]:
    """Each figure of the audit minus that of the baseline, over the clips that both have.

    Names are `delta_clean_uar`, `delta_worst_FIGURE@STRENGTH` and `delta_ATTACK_FIGURE@STRENGTH`,
    with figures `uar`, `success_rate` and `flip_rate`. Where two differences would have the same
    name, because threat models or parameters differ, each has `/DOMAIN-NORM` behind it, and if that
    does not tell them apart `/1`, `/2` in the order of the baseline's attacks.

    Raises:
        IncomparableError: the models have other labels, or the audits have no clip in common.
    """
    found = deltas(common([baseline, audit]), [(0, 1)])
    return dict(zip(_names(found), found, strict=True))


def _names(found: Sequence[Delta]) -> list[str]:
    names = [_name(one) for one in found]
    names = _told_apart(names, lambda place: _threat(found[place]))
    seen: Counter[str] = Counter()

    def number(place: int) -> str:
        seen[names[place]] += 1
        return f"/{seen[names[place]]}"

    return _told_apart(names, number)


def _told_apart(names: Sequence[str], more: Callable[[int], str]) -> list[str]:
    """Those that stand there several times with more behind them."""
    times = Counter(names)
    return [name + more(place) if times[name] > 1 else name for place, name in enumerate(names)]


def _name(delta: Delta) -> str:
    if delta.case == "clean":
        return f"delta_clean_{delta.figure}"
    what = "worst" if delta.attack is None else delta.attack
    return f"delta_{what}_{delta.figure}@{delta.strength:g}"


def _threat(delta: Delta) -> str:
    return "" if delta.threat is None else f"/{delta.threat.domain}-{delta.threat.norm}"
