"""Whether the model's own confidence gives an attack away."""

from models.audit.figure import Figure
from models.audit.measures.measure import MEASURES, Measure
from models.audit.roc import roc_area
from models.audit.table import Table


@MEASURES.register("detector_auc")
class DetectorAuc(Measure):
    """Area under the ROC curve of confidence as a detector of attacks."""

    name = "detector_auc"
    definition = (
        "Area under the ROC curve of a detector that takes a clip for attacked the less confident"
        " the model is: .5 tells nothing, 1 tells all; below .5 the attack makes the model surer."
        " Over the attacked clips, each once clean and once attacked."
    )
    formula = (
        "P(max p′ < max p) + ½ P(max p′ = max p), over all pairs of an attacked and a clean clip"
    )
    source = (
        "Hanley & McNeil, Radiology 1982; the baseline detector of Hendrycks & Gimpel, ICLR 2017."
        " For the interval confidences are sorted into 200 ranks."
    )

    def figure(self, clips: Table) -> Figure:
        """See :class:`Measure`."""
        clips = clips.where(~clips.left_alone)
        return roc_area(clips.confidence_before, clips.confidence, clips.speaker)
