"""In which measure an epsilon counts: the model's own, and what that is to the clips at hand.

The attack acts on z-scored log-mels, and the z-score comes with the model. Whoever states
deviations a hundred times too small, and scales the first weights to match, has the same model; to
an epsilon of it, it looks robust. So does, honestly, a model whose training speech varied much less
than the speech that it is audited on.
"""

from dataclasses import asdict, dataclass
from statistics import median

import torch

from models.corpus.dataset import Dataset
from models.features import Standardizer


@dataclass(frozen=True)
class Scale:
    """Standard deviations of the clips' log-mels, in those that the model states.

    One for each mel band: the lowest, the median and the highest. In a model that is audited on
    speech like its training speech, all are about 1.
    """

    lowest: float
    median: float
    highest: float

    def to_dict(self) -> dict[str, float]:
        """To three digits, which is more than they are worth."""
        return {name: float(f"{value:.3g}") for name, value in asdict(self).items()}


def scale(data: Dataset, standardizer: Standardizer) -> Scale:
    """How much these clips vary, to this model.

    Args:
        data: at least one frame.
        standardizer: the model's, on any device.
    """
    own = torch.std(data.features.float(), dim=0, correction=0).cpu()
    bands = (own / standardizer.std.cpu()).tolist()
    return Scale(min(bands), median(bands), max(bands))
