"""What the owner of an audit should know of its figures, as warnings on the job."""

from typing import Final

from models.audit import AuditSummary

LIKE: Final = (0.5, 2.0)
"""Of `scale`, the median band: CREMA-D's starters find 1.05 in CREMA-D, 1.25 in EMO-DB, and .7
in a single clip."""
BANDS_LIKE: Final = (0.1, 10.0)
"""All of them: those find .23 in a band of a single clip, and 3.3 in EMO-DB's lowest bands."""


def warnings(result: AuditSummary) -> list[str]:
    """All of them."""
    return [*_about_direction(result), *_about_scale(result)]


def _about_direction(result: AuditSummary) -> list[str]:
    """Attacks that had nothing to go by: what looks robust is not."""
    worst = max(result.curve, key=lambda point: point.no_direction)
    if not worst.no_direction:
        return []
    attack = result.attacks[worst.attack]
    text = (
        f"On {worst.no_direction} of {worst.n} clips {attack.type} had nothing to go by at"
        f" {worst.strength:g} {attack.threat.unit} (no_direction in the curve): its gradient was"
        " zero or not finite, as where a model's scores are saturated, or the clip is digital"
        " silence. Success rates understate how weak the model is, also those that harden goes by."
        " Divide the weights and the bias of its last layer by a constant, say 100, which changes"
        " no label, and audit that; or ask for an attack that needs scores alone (square)."
    )
    return [text]


def _about_scale(result: AuditSummary) -> list[str]:
    """A model that states other deviations than the clips have: what an ε of log-mels counts."""
    found = result.scale
    if all(attack.threat.domain != "features" for attack in result.attacks) or (
        LIKE[0] <= found.median <= LIKE[1]
        and BANDS_LIKE[0] <= found.lowest
        and found.highest <= BANDS_LIKE[1]
    ):
        return []
    text = (
        "An ε of log-mels counts the deviations that the model's configuration states, and"
        f" these clips deviate by {found.median:g} of them in the median band, {found.lowest:g} to"
        f" {found.highest:g} (scale in the result). The model was trained on speech that varies"
        " otherwise, or states what is not so: do not compare its robustness with that of other"
        " models at the same ε."
    )
    return [text]
