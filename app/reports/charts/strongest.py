"""The points of a curve that a reader looks at first: each attack at its strongest strength."""

from app.reports.charts.curves import smaller_is_harder
from models.audit.result import AuditSummary, CurvePoint


def strongest_points(result: AuditSummary, *, controls: bool = False) -> list[CurvePoint]:
    """Of each attack that scored something, in the order of the request.

    Args:
        controls: whether noise is among them. Corruptions never are.
    """
    found = []
    for attack in result.attacks:
        if attack.threat.domain == "corruption" or (attack.control and not controls):
            continue
        points = [one for one in result.curve if one.attack == attack.index and one.n]
        if points:
            sign = -1 if smaller_is_harder(result.attacks, attack.threat) else 1
            found.append(max(points, key=lambda one: sign * one.strength))
    return found


def worst_point(result: AuditSummary) -> CurvePoint | None:
    """Of those, the one with the lowest UAR; of clips without labels, with the most flips."""
    points = strongest_points(result)
    if not points:
        return None
    if any(point.uar is not None for point in points):
        return min(points, key=lambda one: 2.0 if one.uar is None else one.uar)
    return max(points, key=lambda one: one.flip_rate or 0.0)
