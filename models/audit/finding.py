"""One sentence on what an audit found: the figure, its bound, and noise of the same size beside it.

It is taken of the first threat model in which the attacks lower the UAR by more than chance does,
at the weakest strength at which they do; where they do so nowhere, of the strongest strength of the
first threat model, with the most that the loss may be. Of clips without labels it is of predictions
that change.
"""

from collections.abc import Sequence

from models.audit.figure import Figure
from models.audit.result import AuditSummary, CurvePoint, Quality, WorstCase

UNITS = {"sigma": "σ", "full_scale": "of full scale", "dB": "dB SNR"}


def finding(result: AuditSummary, against: Sequence[str] = ()) -> str:
    """The sentence.

    Args:
        against: titles of what makes the evidence invalid; then nothing is found.
    """
    if against:
        reasons = "; ".join(title[0].lower() + title[1:] for title in against)
        return f"Nothing can be concluded on how robust the model is: {reasons}{_clean(result)}."
    cases = [case for case in result.worst_case if case.n and _allows_something(case)]
    if not cases:
        return _without_attack(result)
    falls = [case for case in cases if _falls(case)]
    return _told(result, falls[0] if falls else _strongest(cases), falls=bool(falls))


def _allows_something(case: WorstCase) -> bool:
    return case.strength > 0 or case.threat.unit == "dB"


def _strongest(cases: Sequence[WorstCase]) -> WorstCase:
    """Of the first threat model; a result has them from the weakest strength on."""
    return [case for case in cases if case.threat == cases[0].threat][-1]


def _falls(case: WorstCase) -> bool:
    """Whether the attacks lower the UAR, or change predictions, by more than chance does."""
    drop = case.measures["uar_drop"]
    if drop.value is None:
        return bool(case.success_rate)
    return drop.interval is not None and drop.interval[0] > 0


def _told(result: AuditSummary, case: WorstCase, *, falls: bool) -> str:
    uar, success = case.measures["uar"], case.measures["success_rate"]
    broken = 0 if case.success_rate is None else round(case.success_rate * case.right_before)
    at, scope = f"{_size(case)}{_in_db(result, case)}", _scope(result, case)
    if uar.value is None:
        changed = f"{broken} of {case.right_before} predictions{_interval(success)}"
        parts = [f"At {at} the attacks change {changed}{scope and f',{scope}'}"]
    elif falls:
        parts = [
            f"At {at} UAR{scope} falls from {_number(_before(result, case))} to {_figure(uar)}",
            f"{broken} of the {case.right_before} clips that were right before are broken",
        ]
    else:
        drop = case.measures["uar_drop"]
        most = "" if drop.interval is None else f", a loss of at most {_number(drop.interval[1])}"
        held = f"from {_number(_before(result, case))} to {_figure(uar)}{most}"
        parts = [
            f"Up to {at} the attacks of this audit lower UAR{scope} by no more than chance does, "
            + held,
            f"{broken} of the {case.right_before} clips that were right before are broken",
        ]
    parts.append(_beside_noise(result, case))
    classes = _classes_of(result, case)
    if uar.value is not None and classes:
        parts.append(f"chance is {_number(1 / classes)}")
    return "; ".join(parts) + "."


def _before(result: AuditSummary, scored: WorstCase | CurvePoint) -> float | None:
    """Clean UAR of the clips that were scored there: an audit that ended early has clean
    predictions of others, too."""
    uar, drop = scored.measures["uar"].value, scored.measures["uar_drop"].value
    if scored.n == result.n or uar is None or drop is None:
        return result.clean.uar
    return uar + drop


def _scope(result: AuditSummary, scored: WorstCase | CurvePoint) -> str:
    """Of how many clips a figure is, unless it is of all that were to be scored."""
    return "" if scored.n == result.of else f" of {scored.n} of {result.of} clips"


def _classes_of(result: AuditSummary, case: WorstCase) -> int | None:
    """That the UAR of a worst case is a mean over; None if it is not known.

    Its clips are those that every one of its attacks came to: a point of as many has the same.
    """
    if case.n == result.n:
        return _classes(result.clean)
    for point in result.curve:
        attack = result.attacks[point.attack]
        if point.n == case.n and attack.threat == case.threat and not attack.control:
            return _classes(point)
    return None


def _beside_noise(result: AuditSummary, case: WorstCase) -> str:
    """What noise of that size does: without it nobody knows what is the attacker's work."""
    if case.control is None:
        return "no noise of that size was scored, so how much of this is the attack's is not known"
    noise = result.curve[case.control.point]
    uar, more = noise.measures["uar"], case.measures["over_control"]
    if not _same_clips(case, noise):
        if more.value is None:
            return "noise of that size was scored on none of them"
        return (
            f"on the {case.control.n} of them that noise of that size was scored on, that is"
            f" {_figure(more)} more than the noise breaks"
        )
    what = (
        f"leaves UAR at {_figure(uar)}"
        if uar.value is not None
        else f"changes {_figure(noise.measures['flip_rate'])} of all"
    )
    if more.value is None:
        return f"noise of that size {what}"
    return f"that is {_figure(more)} more of them than noise of that size, which {what}"


def _same_clips(case: WorstCase, noise: CurvePoint) -> bool:
    """Whether noise was scored on the clips of the worst case: in an audit that ended early it may
    have come to others."""
    control = case.control
    return (
        control is not None
        and noise.n == case.n
        and noise.right_before == case.right_before == control.n
    )


def _without_attack(result: AuditSummary) -> str:
    """An audit of corruptions or of noise alone."""
    scored = [point for point in result.curve if point.n]
    known = [point for point in scored if point.uar is not None]
    if not known:
        return "No attack was scored, so nothing is found on how robust the model is."
    worst = max(known, key=lambda point: point.measures["uar_drop"].value or 0.0)
    return (
        f"No attack was scored; at worst, under {_named(result, worst)}, UAR"
        f"{_scope(result, worst)} goes from {_number(_before(result, worst))} to"
        f" {_figure(worst.measures['uar'])}; chance is {_number(1 / _classes(worst))}."
    )


def _named(result: AuditSummary, point: CurvePoint) -> str:
    attack = result.attacks[point.attack]
    unit = UNITS.get(attack.threat.unit, attack.threat.unit)
    return f"{attack.type} {point.strength:g} {unit}"


def _clean(result: AuditSummary) -> str:
    uar = result.clean.measures.get("uar")
    if uar is None or uar.value is None:
        return ""
    return f" (clean UAR {_figure(uar)}, chance {_number(1 / _classes(result.clean))})"


def _classes(quality: Quality) -> int:
    """That UAR is a mean over: those with clips."""
    return sum(one is not None for one in (quality.recall or {}).values())


def _size(case: WorstCase) -> str:
    unit = UNITS.get(case.threat.unit, case.threat.unit)
    if case.threat.unit == "dB":
        return f"{case.strength:g} {unit}"
    return f"{'±' if case.threat.norm == 'linf' else 'an L2 norm of '}{case.strength:g} {unit}"


def _in_db(result: AuditSummary, case: WorstCase) -> str:
    """The median change of the loudest-changed band, of the first such attack."""
    for point in result.curve:
        attack = result.attacks[point.attack]
        if (
            point.strength == case.strength
            and attack.threat == case.threat
            and not attack.control
            and point.distortion is not None
        ):
            return f" (about ±{point.distortion.band_db:.2g} dB in the band that changes most)"
    return ""


def _number(value: float | None) -> str:
    """Two decimals, the zero before the point left out."""
    if value is None:
        return "–"
    told = f"{abs(value):.2f}"
    sign = "−" if value < 0 and float(told) else ""
    return sign + (told[1:] if told.startswith("0.") else told)


def _figure(figure: Figure) -> str:
    return _number(figure.value) + _interval(figure)


def _interval(figure: Figure) -> str:
    if figure.interval is None:
        return ""
    low, high = figure.interval
    return f" [{_number(low)}, {_number(high)}]"
