"""UAR against strength, a panel for each threat model (Figure 3 of the paper).

The worst case of all attacks and the noise of the same size have bands, single attacks have bars: a
reader compares the first two, and bands of five attacks over each other show nothing. Of clips
without labels, the share of changed predictions takes the place of UAR.
"""

from collections.abc import Iterator, Sequence
from typing import Final

from app.reports import words
from app.reports.charts.canvas import WORST, Style
from app.reports.charts.chart import Chart, Table
from app.reports.charts.plot import Level, Plot, Series, draw
from models.audit.figure import Figure
from models.audit.result import AttackOfResult, AuditSummary, CurvePoint, Threat
from models.corruptions import CORRUPTIONS
from models.threats import ThreatModel

COLUMNS: Final = ("series", "strength", "value", "95 % interval", "clips", "speakers")


def curves(result: AuditSummary) -> list[Chart]:
    """A chart for each threat model and each unit of corruptions, in the order of the request."""
    return [
        _chart(result, threat, number) for number, threat in enumerate(threats(result), start=1)
    ]


def threats(result: AuditSummary) -> list[Threat]:
    """Each that something was scored of, once."""
    told = {result.attacks[point.attack].threat.model_dump_json() for point in result.curve}
    found = {attack.threat.model_dump_json(): attack.threat for attack in result.attacks}
    return [threat for text, threat in found.items() if text in told]


def smaller_is_harder(attacks: Sequence[AttackOfResult], threat: Threat) -> bool:
    """Whether a smaller number is stronger, as with an SNR."""
    if threat.domain == "corruption":
        kinds = [one.type for one in attacks if one.threat == threat]
        known = [CORRUPTIONS[kind] for kind in kinds if kind in CORRUPTIONS]
        return any(kind.smaller_is_harder for kind in known)
    if threat.domain not in {"features", "waveform"} or threat.norm not in {"linf", "l2"}:
        return False
    return ThreatModel(threat.domain, threat.norm).smaller_is_harder  # type: ignore[arg-type]


def chance(result: AuditSummary) -> float | None:
    """UAR of a guess: one over the number of emotions that there are clips of."""
    known = [recall for recall in (result.clean.recall or {}).values() if recall is not None]
    return 1 / len(known) if known else None


def clean_figure(result: AuditSummary) -> Figure:
    """UAR of the clips as they are, with its interval where the report has one; of clips without
    labels, no change."""
    if result.clean.uar is None:
        return Figure(value=0.0, interval=None, n=result.n, n_speakers=None, method="wilson")
    known = result.clean.measures.get("uar")
    n = result.n - result.n_unlabelled
    return known or Figure(
        value=result.clean.uar, interval=None, n=n, n_speakers=None, method="bootstrap_clips"
    )


def point_figure(point: CurvePoint, name: str) -> Figure:
    """A figure of a point; the plain number where the report has no interval of it."""
    plain: float | None = getattr(point, name)
    known = point.measures.get(name)
    return known or Figure(
        value=plain, interval=None, n=point.n, n_speakers=None, method="bootstrap_clips"
    )


def _chart(result: AuditSummary, threat: Threat, number: int) -> Chart:
    labelled = result.clean.uar is not None
    quantity = "UAR" if labelled else "Share of changed predictions"
    plot = Plot(
        title=f"{quantity} against strength: {words.threat_name(threat)}",
        description=_description(result, threat, quantity),
        quantity=quantity,
        across=words.axis(threat),
        taken_of=_taken_of(result),
        series=list(_series(result, threat)),
        smaller_is_harder=smaller_is_harder(result.attacks, threat),
        levels=_levels(result),
    )
    return Chart.drawn(
        f"curve-{number}",
        plot.title,
        plot.description,
        lambda name, width: draw(plot, name, width),
        _table(result, threat, plot),
    )


def _levels(result: AuditSummary) -> list[Level]:
    guess = chance(result)
    return [] if guess is None else [Level(f"chance {words.number(guess)}", guess)]


def _taken_of(result: AuditSummary) -> str:
    figure = clean_figure(result)
    return f"{words.taken_of(figure)}; bands and bars: 95 % intervals"


def _series(result: AuditSummary, threat: Threat) -> Iterator[Series]:
    """The noise first, so that it lies below; the worst case last, if it is of several attacks."""
    names = words.attack_names(result.attacks)
    figure = "uar" if result.clean.uar is not None else "flip_rate"
    clean = (None, clean_figure(result))
    own = [one for one in result.attacks if one.threat == threat]
    single = sum(not one.control for one in own) == 1
    order = sorted(own, key=lambda one: (not one.control, one.index))
    for attack in order:
        points = [
            (point.strength, point_figure(point, figure))
            for point in result.curve
            if point.attack == attack.index
        ]
        if points:
            yield Series(
                names[attack.index],
                [clean, *_weakest_first(points, result, threat)],
                Style.of(attack.index + 1, control=attack.control),
                banded=(attack.control and threat.domain != "corruption")
                or (single and not attack.control),
            )
    cases = [
        (case.strength, case.measures.get("uar") or _plain(case.uar, case.n))
        for case in result.worst_case
        if case.threat == threat and case.uar is not None
    ]
    if cases and not single and figure == "uar":
        yield Series("worst case", [clean, *_weakest_first(cases, result, threat)], WORST, True)


def _plain(value: float | None, n: int) -> Figure:
    return Figure(value=value, interval=None, n=n, n_speakers=None, method="bootstrap_clips")


def _weakest_first(
    points: Sequence[tuple[float, Figure]], result: AuditSummary, threat: Threat
) -> list[tuple[float | None, Figure]]:
    backwards = smaller_is_harder(result.attacks, threat)
    ordered = sorted(points, key=lambda one: -one[0] if backwards else one[0])
    return [(strength, figure) for strength, figure in ordered]


def _table(result: AuditSummary, threat: Threat, plot: Plot) -> Table:
    rows = [("clips as they are", "none", *_cells(clean_figure(result)))]
    rows.extend(
        (one.name, words.strength(strength, threat), *_cells(figure))
        for one in reversed(plot.series)
        for strength, figure in one.points
        if strength is not None
    )
    guess = chance(result)
    return Table(
        f"{plot.quantity}, {words.threat_name(threat)}",
        COLUMNS,
        tuple(rows),
        "" if guess is None else f"Chance is {words.number(guess)}.",
    )


def _cells(figure: Figure) -> tuple[str, str, str, str]:
    speakers = words.NOTHING if figure.n_speakers is None else f"{figure.n_speakers:,}"
    return (words.number(figure.value), words.interval(figure), f"{figure.n:,}", speakers)


def _description(result: AuditSummary, threat: Threat, quantity: str) -> str:
    """What the curves come to: the clips as they are, and each series at its strongest."""
    told = [f"{quantity} of the clips as they are: {words.with_interval(clean_figure(result))}."]
    for one in _series(result, threat):
        strength, figure = one.points[-1]
        if strength is not None:
            told.append(
                f"{one.name} at {words.strength(strength, threat)}: {words.with_interval(figure)}."
            )
    guess = chance(result)
    if guess is not None:
        told.append(f"Chance: {words.number(guess)}.")
    return " ".join(told)
