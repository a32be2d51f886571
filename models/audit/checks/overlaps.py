"""Whether a weaker attack does no less than a stronger one, as sets of clips."""

from collections.abc import Collection

from models.audit.checks.observed import Observed
from models.audit.checks.outcome import Clear, NotRun, Outcome, Raised
from models.audit.checks.patches import STEPS, attack, with_attacks
from models.threats import ThreatModel


def outdone(
    audit: Observed,
    weaker: Collection[int],
    stronger: Collection[int],
    names: tuple[str, str],
    *,
    absent: str,
    remedy: str,
    restarts: int = 2,
) -> Outcome:
    """Raised where the weaker ones do no less, with a stronger PGD to be run there.

    Args:
        names: of the weaker and of the stronger ones, in words.
        absent: what is said where they share no strength.
        remedy: of the check.
        restarts: of that PGD.
    """
    told, found = no_less(audit, weaker, stronger, *names)
    if not told:
        return NotRun(absent)
    if not found:
        return Clear(told)
    added = [
        attack("pgd", threat, [strength], steps=5 * STEPS, restarts=restarts, loss="margin")
        for threat, strength in found
    ]
    return Raised(told, remedy, with_attacks(audit, *added))


def no_less(
    audit: Observed, weaker: Collection[int], stronger: Collection[int], name: str, other: str
) -> tuple[str, list[tuple[ThreatModel, float]]]:
    """At which strengths that both have.

    Args:
        name, other: of the weaker and of the stronger ones, in words.

    Returns:
        The strength that speaks most against the stronger ones, in words, "" if none is shared; and
        those at which the weaker ones do no less.
    """
    told: list[tuple[int, str]] = []
    found: list[tuple[ThreatModel, float]] = []
    for threat in audit.threats:
        shared = set(audit.strengths(stronger, threat))
        for strength in audit.strengths(weaker, threat):
            if strength not in shared:
                continue
            overlap = audit.broken(weaker, threat, strength).beside(
                audit.broken(stronger, threat, strength)
            )
            text = (
                f"At {strength:g} {threat.unit} {name} alone breaks {overlap.only_first} of"
                f" {overlap.n} clips, and {other} alone {overlap.only_second}."
            )
            told.append((overlap.only_second - overlap.only_first, text))
            if overlap.is_no_less:
                found.append((threat, strength))
    return min(told)[1] if told else "", found
