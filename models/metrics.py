"""Unweighted average recall, confusion and the counts behind an attack's success rate."""

from dataclasses import dataclass

import torch
from torch import Tensor


def confusion(y_true: Tensor, y_pred: Tensor, n_classes: int) -> Tensor:
    """Count clips by true class (rows) and predicted class (columns).

    Args:
        y_true, y_pred: (clips,), int64 in [0, n_classes).

    Returns:
        (n_classes, n_classes), int64.

    Raises:
        ValueError: the two differ in shape, or a class is out of range.
    """
    if y_true.ndim != 1 or y_true.shape != y_pred.shape:
        raise ValueError(
            f"labels {tuple(y_true.shape)} and predictions {tuple(y_pred.shape)}: "
            "both must be (clips,)"
        )
    for classes in (y_true, y_pred):
        outside = classes[(classes < 0) | (classes >= n_classes)]
        if len(outside):
            raise ValueError(f"class {int(outside[0])} is outside 0 to {n_classes - 1}")
    cells = y_true * n_classes + y_pred
    return torch.bincount(cells, minlength=n_classes**2).reshape(n_classes, n_classes)


def recalls(y_true: Tensor, y_pred: Tensor, n_classes: int) -> list[float | None]:
    """Recall of each class; None where ``y_true`` has no clip of it.

    Args:
        y_true, y_pred: (clips,), int64 in [0, n_classes).

    Returns:
        (n_classes,), each in [0, 1].

    Raises:
        ValueError: the two differ in shape, or a class is out of range.
    """
    table = confusion(y_true, y_pred, n_classes)
    return [
        table[label, label].item() / total if total else None
        for label, total in enumerate(table.sum(dim=1).tolist())
    ]


def uar(y_true: Tensor, y_pred: Tensor, n_classes: int) -> float:
    """Unweighted average recall: the mean recall over the classes present in ``y_true``.

    Source: Schuller et al., "The INTERSPEECH 2009 Emotion Challenge", Sec. 4.

    Args:
        y_true, y_pred: (clips,), int64 in [0, n_classes).

    Raises:
        ValueError: there is no clip at all, for which no recall is defined; or see `recalls`.
    """
    present = [recall for recall in recalls(y_true, y_pred, n_classes) if recall is not None]
    if not present:
        raise ValueError("UAR of no clips is undefined: score at least one")
    return sum(present) / len(present)


@dataclass(frozen=True)
class Transitions:
    """How predictions moved under an attack: (before)_(after), right or wrong by the label."""

    right_wrong: int
    right_right: int
    wrong_right: int
    wrong_wrong: int

    @property
    def success_rate(self) -> float | None:
        """Share broken **of the clips that were right before**; None if none was right."""
        right_before = self.right_wrong + self.right_right
        return self.right_wrong / right_before if right_before else None


def transitions(y_true: Tensor, clean: Tensor, adversarial: Tensor) -> Transitions:
    """Count the four ways a prediction can move.

    Args:
        y_true, clean, adversarial: label, prediction before and after, (clips,), int64.

    Raises:
        ValueError: they differ in shape; broadcast, they would be counted many times over.
    """
    if y_true.ndim != 1 or not y_true.shape == clean.shape == adversarial.shape:
        raise ValueError(
            f"labels {tuple(y_true.shape)}, predictions {tuple(clean.shape)} and "
            f"{tuple(adversarial.shape)}: all must be (clips,)"
        )
    before, after = clean == y_true, adversarial == y_true
    return Transitions(
        right_wrong=int((before & ~after).sum()),
        right_right=int((before & after).sum()),
        wrong_right=int((~before & after).sum()),
        wrong_wrong=int((~before & ~after).sum()),
    )
