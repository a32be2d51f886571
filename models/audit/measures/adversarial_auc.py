"""How well the score of the model's detector tells attacked clips from clean ones."""

from typing import ClassVar

import numpy as np

from models.audit.figure import Figure
from models.audit.measures.measure import MEASURES, Measure
from models.audit.roc import roc_area
from models.audit.table import Table


@MEASURES.register("adversarial_auc")
class AdversarialAuc(Measure):
    """Area under the ROC curve of the detector's score."""

    name = "adversarial_auc"
    definition = (
        "Area under the ROC curve of the score of the model's detector, whatever its threshold: .5"
        " tells nothing, 1 tells all. Over the attacked clips, each once clean and once attacked."
        " Only of audits with `detector`; `detector_auc` is the same of the model's own confidence,"
        " which needs none."
    )
    formula = "P(s′ > s) + ½ P(s′ = s), over all pairs of an attacked and a clean clip"
    source = "Hanley & McNeil, Radiology 1982. The interval as that of detector_auc."
    of_detector: ClassVar[bool] = True

    def figure(self, clips: Table) -> Figure:
        """See :class:`Measure`."""
        before, after = clips.adversarial_score_before, clips.adversarial_score
        if before is None or after is None:
            nobody = np.zeros(0)
            return roc_area(nobody, nobody, np.zeros(0, dtype=np.int64))
        kept = ~clips.left_alone
        return roc_area(-before[kept], -after[kept], clips.speaker[kept])
