"""What the paper found: the figures that a study's own stand beside.

Ren et al., ICASSP 2020, Tables 2 and 3; of DEMoS, which is not public. UAR on (dev, test).
"""

from typing import Final

from models.studies.outcome import Partition

Pair = tuple[float, float]
"""UAR on dev and on test."""

PAPER: Final = "Ren et al. (ICASSP 2020), DEMoS"
"""Whose figures these are, for captions."""

REAL: Final[dict[str, dict[tuple[str, float | None], Pair]]] = {
    "cnn4": {
        ("single", None): (0.826, 0.836),
        ("vanilla", 0.02): (0.825, 0.856),
        ("vanilla", 0.04): (0.817, 0.871),
        ("vanilla", 0.06): (0.854, 0.869),
        ("vanilla", 0.08): (0.853, 0.858),
        ("vanilla", 0.10): (0.866, 0.880),
        ("similarity", 0.02): (0.844, 0.797),
        ("similarity", 0.04): (0.822, 0.825),
        ("similarity", 0.06): (0.775, 0.824),
        ("similarity", 0.08): (0.739, 0.806),
        ("similarity", 0.10): (0.727, 0.752),
    },
    "resnet50": {
        ("single", None): (0.719, 0.813),
        ("vanilla", 0.02): (0.699, 0.817),
        ("vanilla", 0.04): (0.813, 0.850),
        ("vanilla", 0.06): (0.774, 0.839),
        ("vanilla", 0.08): (0.813, 0.855),
        ("vanilla", 0.10): (0.823, 0.845),
        ("similarity", 0.02): (0.743, 0.798),
        ("similarity", 0.04): (0.708, 0.798),
        ("similarity", 0.06): (0.723, 0.788),
        ("similarity", 0.08): (0.631, 0.803),
        ("similarity", 0.10): (0.407, 0.734),
    },
    "vgg16": {
        ("single", None): (0.798, 0.836),
        ("vanilla", 0.02): (0.850, 0.847),
        ("vanilla", 0.04): (0.849, 0.855),
        ("vanilla", 0.06): (0.871, 0.878),
        ("vanilla", 0.08): (0.875, 0.867),
        ("vanilla", 0.10): (0.842, 0.870),
        ("similarity", 0.02): (0.847, 0.823),
        ("similarity", 0.04): (0.814, 0.842),
        ("similarity", 0.06): (0.786, 0.839),
        ("similarity", 0.08): (0.792, 0.653),
        ("similarity", 0.10): (0.804, 0.833),
    },
}
"""Table 2, clean clips: by architecture, training and the ε that it was trained with."""

FAKE: Final[dict[str, dict[tuple[str, float | None], Pair]]] = {
    "cnn4": {
        ("vanilla", 0.02): (0.744, 0.800),
        ("vanilla", 0.04): (0.657, 0.749),
        ("vanilla", 0.06): (0.576, 0.671),
        ("vanilla", 0.08): (0.520, 0.540),
        ("vanilla", 0.10): (0.457, 0.570),
        ("similarity", 0.02): (0.827, 0.784),
        ("similarity", 0.04): (0.772, 0.769),
        ("similarity", 0.06): (0.675, 0.731),
        ("similarity", 0.08): (0.610, 0.674),
        ("similarity", 0.10): (0.526, 0.585),
    },
    "resnet50": {
        ("vanilla", 0.02): (0.620, 0.774),
        ("vanilla", 0.04): (0.685, 0.755),
        ("vanilla", 0.06): (0.595, 0.672),
        ("vanilla", 0.08): (0.607, 0.710),
        ("vanilla", 0.10): (0.602, 0.678),
        ("similarity", 0.02): (0.732, 0.771),
        ("similarity", 0.04): (0.652, 0.759),
        ("similarity", 0.06): (0.630, 0.728),
        ("similarity", 0.08): (0.450, 0.714),
        ("similarity", 0.10): (0.316, 0.498),
    },
    "vgg16": {
        ("vanilla", 0.02): (0.794, 0.806),
        ("vanilla", 0.04): (0.743, 0.783),
        ("vanilla", 0.06): (0.741, 0.770),
        ("vanilla", 0.08): (0.709, 0.756),
        ("vanilla", 0.10): (0.638, 0.716),
        ("similarity", 0.02): (0.839, 0.821),
        ("similarity", 0.04): (0.806, 0.820),
        ("similarity", 0.06): (0.753, 0.815),
        ("similarity", 0.08): (0.730, 0.550),
        ("similarity", 0.10): (0.716, 0.769),
    },
}
"""Table 2, clips under FGSM at the ε that the model was trained with."""

AUGMENTED: Final[dict[str, Pair]] = {
    "noise-audio": (0.795, 0.833),
    "noise-spectrogram": (0.808, 0.833),
    "adversarial": (0.875, 0.867),
}
"""Table 3. The paper does not say of which network the first two are; the last is VGG-16's."""

CLIPS: Final[dict[Partition, int]] = {"dev": 3024, "test": 3317}
"""Table 1: what its UAR are taken of."""


def real(
    architecture: str, training: str, epsilon: float | None, partition: Partition
) -> float | None:
    """UAR of clean clips; None where the paper has no such model."""
    return _at(REAL, architecture, training, epsilon, partition)


def fake(
    architecture: str, training: str, epsilon: float | None, partition: Partition
) -> float | None:
    """UAR under FGSM at the ε of the training; None where the paper has no such model."""
    return _at(FAKE, architecture, training, epsilon, partition)


def augmented(training: str, partition: Partition) -> float | None:
    """UAR of a row of Table 3; None for another training."""
    pair = AUGMENTED.get(training)
    return None if pair is None else pair[partition == "test"]


def _at(
    table: dict[str, dict[tuple[str, float | None], Pair]],
    architecture: str,
    training: str,
    epsilon: float | None,
    partition: Partition,
) -> float | None:
    known = None if epsilon is None else round(epsilon, 6)
    pair = table.get(architecture, {}).get((training, known))
    return None if pair is None else pair[partition == "test"]
