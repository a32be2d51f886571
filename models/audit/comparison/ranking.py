"""Which of two audited models is more robust, in sentences; or that the audits do not tell."""

from collections.abc import Collection, Iterator, Mapping, Sequence

from pydantic import Field

from models.audit.comparison.common_ground import Case
from models.audit.comparison.deltas import Delta, FigureName
from models.audit.intervals import FEW_SPEAKERS, Interval


class Ranked(Case):
    """Two audits in one case, ranked or not."""

    figure: FigureName = Field(description="That decides: UAR, or success without labels.")
    a: str
    b: str
    better: str | None = Field(
        description="The audit whose model withstands more, or does better on clean clips. Null:"
        " do not rank, because the interval holds 0, `p_holm` is above .05, or the evidence of one"
        " of the two is invalid."
    )
    value: float | None = Field(description="Of `b` minus `a`.")
    interval: Interval | None
    n: int
    n_speakers: int | None
    p_holm: float | None
    sentence: str = Field(
        examples=["Do not rank A and B at 0.02 sigma (features linf), worst case: …"]
    )


def ranking(
    deltas: Sequence[Delta], names: Mapping[str, str], *, invalid: Collection[str] = ()
) -> list[Ranked]:
    """A sentence for the clean clips, each worst case and each corruption, of each pair.

    Single attacks have none: an attacker is not bound to one. Nor has noise, which says what a
    change of that size does without an adversary.

    Args:
        deltas: all that were computed, as p is adjusted for all of them.
        names: of the audits in the sentences.
        invalid: audits whose evidence is invalid: they are not ranked.
    """
    comparisons = sum(one.p is not None for one in deltas)
    return [_ranked(one, names, comparisons, invalid) for one in _deciding(deltas)]


def _deciding(deltas: Sequence[Delta]) -> Iterator[Delta]:
    decides = "uar" if any(one.figure == "uar" for one in deltas) else "success_rate"
    for one in deltas:
        corrupted = one.threat is not None and one.threat.domain == "corruption"
        if one.figure == decides and (one.case != "point" or corrupted):
            yield one


def _ranked(
    delta: Delta, names: Mapping[str, str], comparisons: int, invalid: Collection[str]
) -> Ranked:
    better = None
    unfit = [names[audit] for audit in (delta.a, delta.b) if audit in invalid]
    if delta.differs and delta.value is not None and not unfit:
        larger_is_better = delta.figure == "uar"
        better = delta.b if (delta.value > 0) == larger_is_better else delta.a
    return Ranked(
        **{name: getattr(delta, name) for name in Ranked.model_fields if hasattr(delta, name)},
        better=better,
        sentence=_refusal(delta, names, f"the evidence of {' and '.join(unfit)} is invalid.")
        if unfit
        else _sentence(delta, names, better, comparisons),
    )


def _sentence(delta: Delta, names: Mapping[str, str], better: str | None, comparisons: int) -> str:
    a, b = names[delta.a], names[delta.b]
    told = _told(delta, a, b, comparisons)
    if better is None:
        return _refusal(delta, names, told)
    other = a if better == delta.b else b
    if delta.threat is None:
        return f"On {delta.words} {names[better]} does better than {other}: {told}"
    return f"At {delta.words}, {names[better]} is more robust than {other}: {told}"


def _refusal(delta: Delta, names: Mapping[str, str], why: str) -> str:
    where = "on" if delta.threat is None else "at"
    return f"Do not rank {names[delta.a]} and {names[delta.b]} {where} {delta.words}: {why}"


def _told(delta: Delta, a: str, b: str, comparisons: int) -> str:
    figure = "UAR" if delta.figure == "uar" else "success rate"
    if delta.value is None or delta.interval is None or delta.p_holm is None:
        return f"there are no clips to take the {figure} of."
    low, high = delta.interval
    speakers = _speakers(delta)
    return (
        f"{figure} of {b} minus that of {a} is {delta.value:+.3f} [{low:+.3f}, {high:+.3f}]"
        f" ({delta.n} clips, {speakers}, Holm p {delta.p_holm:.2g} of {comparisons}"
        f" comparison{'' if comparisons == 1 else 's'}).{_reach(delta)}"
    )


def _speakers(delta: Delta) -> str:
    if delta.n_speakers is None:
        return "speakers not known"
    return f"{delta.n_speakers} speaker{'' if delta.n_speakers == 1 else 's'}"


def _reach(delta: Delta) -> str:
    """What an interval that speakers were not drawn for says nothing of."""
    if delta.n_speakers is not None and delta.n_speakers < FEW_SPEAKERS:
        return f" With fewer than {FEW_SPEAKERS} speakers it says nothing of other speakers."
    if delta.n_speakers is None:
        return " Clips are taken for independent, because speakers are not known."
    return ""
