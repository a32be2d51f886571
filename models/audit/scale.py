"""In which measure an epsilon counts: the model's own, and what that is to the clips at hand.

The attack acts on z-scored log-mels, and the z-score comes with the model. Whoever states
deviations a hundred times too small, and scales the first weights to match, has the same model; to
an epsilon of it, it looks robust. So does, honestly, a model whose training speech varied much less
than the speech that it is audited on.
"""

from collections.abc import Iterable
from statistics import median

import torch
from torch import Tensor

from models.audit.result import Scale
from models.features import Standardizer


def scale(clips: Iterable[Tensor], standardizer: Standardizer) -> Scale:
    """How much these clips vary, to this model.

    Args:
        clips: what the model's front end makes of each, (frames, mels), one after the other; at
            least one frame in all.
        standardizer: the model's, on any device.
    """
    frames = 0
    mean = squares = torch.zeros(len(standardizer.std), dtype=torch.float64)
    for clip in clips:
        # Chan et al., "Updating formulae ... for computing sample variances", 1979: no sum of
        # squares, which would cancel, and nothing kept but two numbers a band.
        part = clip.double().cpu()
        n, own = len(part), part.mean(dim=0)
        shift = own - mean
        squares = (
            squares + (part - own).square().sum(dim=0) + shift.square() * frames * n / (frames + n)
        )
        mean = mean + shift * n / (frames + n)
        frames += n
    bands = ((squares / frames).sqrt() / standardizer.std.cpu().double()).tolist()
    return Scale(
        **{
            name: float(f"{value:.3g}")  # which is more than they are worth
            for name, value in (
                ("lowest", min(bands)),
                ("median", median(bands)),
                ("highest", max(bands)),
            )
        }
    )
