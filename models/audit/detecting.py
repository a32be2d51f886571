"""The model's detector in an audit: how attacked a clip looks, as it is and under each attack."""

import math
from dataclasses import dataclass

from torch import Tensor, nn

from models.adversarial_score import clip_scores
from models.audit.errors import AuditError
from models.audit.evidence import Detection
from models.threats import Domain
from models.victims import SpectrogramVictim


@dataclass(frozen=True)
class ModelDetector:
    """A detector beside its model.

    Attributes:
        net: as served, on the model's device.
        threshold: a score above it is an alarm.
    """

    net: nn.Module
    threshold: float

    def detections(self, victim: SpectrogramVictim, x: Tensor, domain: Domain) -> list[Detection]:
        """What it says of each clip of ``x``, of the victim's view ``domain``.

        Raises:
            AuditError: a score is not a number (code ``non_finite_scores``).
        """
        scores = clip_scores(self.net, victim, x, domain)
        if any(math.isnan(score) for score in scores):
            raise AuditError(
                "non_finite_scores",
                "The model's detector gives NaN: its weights overflow. Train another, or leave"
                " detector out.",
            )
        return [Detection(adversarial_score=one, alarm=one > self.threshold) for one in scores]
