"""The tables of a report: clean beside attacked, corruptions, calibration, smallest strengths."""

from collections.abc import Iterator, Sequence
from typing import Final

from app.audits.files import ArtifactFile
from app.audits.result import BeforeAfter
from app.reports import words
from app.reports.charts import Table
from app.reports.charts.curves import (
    clean_figure,
    point_figure,
    smaller_is_harder,
    threats,
)
from app.reports.charts.strongest import strongest_points
from app.reports.clips import ClipShown
from app.reports.words import GROUPS
from models.audit.result import AuditSummary, Control, CurvePoint, Threat, WorstCase

ATTACKED: Final = (
    "attack", "strength", "clips", "UAR", "UAR lost", "broken of right before", "success",
    "success over noise", "only attack : only noise (p)", "flips", "nothing to go by", "as sound",
)  # fmt: skip
CORRUPTED: Final = ("corruption", "strength", "clips", "UAR", "UAR lost", "success", "flips")
CALIBRATED: Final = (
    "clips", "UAR", "accuracy", "ECE", "Brier score", "confidence lost", "detector AUC",
)  # fmt: skip
COMPARED: Final = (
    "at", "figure", "before", "now", "difference", "Holm's p", "only before : only now", "clips",
)  # fmt: skip
ALL_OF_THEM: Final = "worst case"


def compared(found: BeforeAfter | None) -> list[Table]:
    """What hardening has changed; nothing of an audit that was not asked for by one before."""
    if found is None:
        return []
    rows = tuple(
        (
            one.words,
            GROUPS[one.figure],
            words.number(one.of_a),
            words.number(one.of_b),
            words.with_interval(one),
            words.number(one.p_holm, 3),
            f"{one.mcnemar.b} : {one.mcnemar.c}",
            f"{one.n:,}",
        )
        for one in found.deltas
    )
    told = (
        f"{words.count(found.clips, 'clip')} of {words.count(found.speakers, 'speaker')} that both"
        f" audits have. Holm's p is adjusted for {words.count(found.comparisons, 'comparison')}."
    )
    return [Table(f"Beside {found.baseline}, of the model before", COMPARED, rows, told)]


def attacked(result: AuditSummary) -> list[Table]:
    """One for each threat model, with the worst case first and the controls last."""
    return [
        Table(
            f"Clean beside attacked: {words.threat_name(threat)}",
            ATTACKED,
            (_clean_row(result), *_rows(result, threat)),
            _broken_by(result, threat),
        )
        for threat in threats(result)
        if threat.domain != "corruption"
    ]


def _clean_row(result: AuditSummary) -> tuple[str, ...]:
    clean = clean_figure(result)
    uar = words.NOTHING if result.clean.uar is None else words.with_interval(clean)
    rest = [words.NOTHING] * (len(ATTACKED) - 4)
    return ("clips as they are", words.NOTHING, f"{result.n:,}", uar, *rest)


def _rows(result: AuditSummary, threat: Threat) -> Iterator[tuple[str, ...]]:
    sign = -1 if smaller_is_harder(result.attacks, threat) else 1
    cases = [case for case in result.worst_case if case.threat == threat]
    yield from map(_case_row, sorted(cases, key=lambda case: sign * case.strength))
    names = words.attack_names(result.attacks)
    own = [one for one in result.attacks if one.threat == threat]
    for attack in sorted(own, key=lambda one: (one.control, one.index)):
        points = [point for point in result.curve if point.attack == attack.index]
        name = f"{names[attack.index]} (control)" if attack.control else names[attack.index]
        for point in sorted(points, key=lambda one: sign * one.strength):
            yield _point_row(name, threat, point)


def _case_row(case: WorstCase) -> tuple[str, ...]:
    figures = case.measures
    success = words.with_interval(figures.get("success_rate"))
    return (
        ALL_OF_THEM,
        words.strength(case.strength, case.threat),
        f"{case.n:,}",
        words.with_interval(figures.get("uar")) if "uar" in figures else words.number(case.uar),
        words.with_interval(figures.get("uar_drop")),
        f"{sum(case.broken_by.values()):,} of {case.right_before:,}",
        success if "success_rate" in figures else words.number(case.success_rate),
        words.with_interval(figures.get("over_control")),
        _against(case.control),
        words.NOTHING,
        words.NOTHING,
        words.NOTHING,
    )


def _point_row(name: str, threat: Threat, point: CurvePoint) -> tuple[str, ...]:
    heard = (
        words.NOTHING
        if point.survives_as_audio is None
        else f"{words.number(point.survives_as_audio)} of {point.played}"
    )
    return (
        name,
        words.strength(point.strength, threat),
        f"{point.n:,}",
        words.with_interval(point_figure(point, "uar")),
        words.with_interval(point.measures.get("uar_drop")),
        _broken(point),
        words.with_interval(point_figure(point, "success_rate")),
        words.with_interval(point.measures.get("over_control")),
        _against(point.control),
        words.with_interval(point_figure(point, "flip_rate")),
        f"{point.no_direction:,}",
        heard,
    )


def _broken(point: CurvePoint) -> str:
    """Clips on which the attack reached its goal; of one with a target that is not all that became
    wrong."""
    if point.success_rate is None:
        return words.NOTHING
    return f"{round(point.success_rate * point.right_before):,} of {point.right_before:,}"


def _against(control: Control | None) -> str:
    if control is None:
        return words.NOTHING
    p = f"{control.p:.3f}".lstrip("0") if control.p >= 0.001 else "< .001"
    return f"{control.only_attack} : {control.only_control} (p {p})"


def _broken_by(result: AuditSummary, threat: Threat) -> str:
    """Which attack broke how many first, at the strongest."""
    cases = [case for case in result.worst_case if case.threat == threat and case.broken_by]
    if not cases:
        return ""
    sign = -1 if smaller_is_harder(result.attacks, threat) else 1
    case = max(cases, key=lambda one: sign * one.strength)
    names = words.attack_names(result.attacks)
    told = ", ".join(f"{names[int(index)]} {n}" for index, n in case.broken_by.items())
    most = words.strength(case.strength, threat)
    return f"Clips by the attack that broke them first, up to {most}: {told}."


def corrupted(result: AuditSummary) -> Table | None:
    """All corruptions; None if there are none."""
    names = words.attack_names(result.attacks)
    rows = [
        (
            names[point.attack],
            words.strength(point.strength, result.attacks[point.attack].threat),
            f"{point.n:,}",
            words.with_interval(point_figure(point, "uar")),
            words.with_interval(point.measures.get("uar_drop")),
            words.with_interval(point_figure(point, "success_rate")),
            words.with_interval(point_figure(point, "flip_rate")),
        )
        for point in result.curve
        if result.attacks[point.attack].threat.domain == "corruption"
    ]
    return Table("Corruptions", CORRUPTED, tuple(rows)) if rows else None


def calibration(result: AuditSummary) -> Table | None:
    """The clips as they are, and each attack and control at its strongest; None without scores'
    measures."""
    clean = result.clean.measures
    if "ece" not in clean:
        return None
    names = ("uar", "accuracy", "ece", "brier", "confidence_drop", "detector_auc")
    rows = [
        (
            "clips as they are",
            f"{result.n:,}",
            *(words.with_interval(clean.get(name)) for name in names),
        )
    ]
    titles = words.attack_names(result.attacks)
    for point in strongest_points(result, controls=True):
        threat = result.attacks[point.attack].threat
        rows.append(
            (
                f"{titles[point.attack]} at {words.strength(point.strength, threat)}",
                f"{point.n:,}",
                *(words.with_interval(point.measures.get(name)) for name in names),
            )
        )
    return Table("Calibration and detection", ("of", *CALIBRATED), tuple(rows))


def smallest(result: AuditSummary) -> Table | None:
    """Quartiles of the smallest strengths that break clips; None if none were sought."""
    names = words.attack_names(result.attacks)
    rows = []
    for one in result.minimum:
        threat = result.attacks[one.attack].threat
        quarter, three_quarters = one.quartiles
        told = [
            words.NOTHING if value is None else words.strength(value, threat)
            for value in (quarter, one.median, three_quarters)
        ]
        median = one.figures.get("median")
        rows.append(
            (
                names[one.attack],
                *told,
                words.interval(median, 4),
                f"{one.unbroken:,} of {one.right_before:,}",
            )
        )
    columns = (
        "attack", "a quarter broken at", "half broken at", "three quarters broken at",
        "interval of the half", "unbroken",
    )  # fmt: skip
    return Table("Smallest strengths that break a clip", columns, tuple(rows)) if rows else None


def clips(shown: Sequence[ClipShown], of: int) -> Table:
    """The list of clips."""
    return Table(
        f"The {len(shown)} clips that were broken most, of {of:,}"
        if len(shown) < of
        else f"All {of:,} clips, the most broken first",
        ("clip", "row", "label", "speaker", "as it is", "broken first by", "then heard as",
         "broken at", "smallest strength"),
        tuple(
            (
                one.clip,
                f"{one.index}",
                one.label,
                one.speaker,
                one.clean,
                one.by or words.NOTHING,
                one.attacked or words.NOTHING,
                f"{one.broken} of {one.of}",
                one.smallest or words.NOTHING,
            )
            for one in shown
        ),
    )  # fmt: skip


def artifacts(made: Sequence[ArtifactFile]) -> Table:
    """The files that the audit made."""
    return Table(
        "Files of the audit",
        ("name", "what it is", "bytes", "SHA-256"),
        tuple((one.name, one.description, f"{one.bytes:,}", one.sha256) for one in made),
    )
