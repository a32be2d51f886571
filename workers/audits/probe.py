"""What checks need beside the rows: a second run of a few clips, their gradients, and silence.

Of at most `MOST` clips: two passes forwards and one backwards each, which no cost and no forecast
counts. Silence is looked for in the log-mels that the result's scale is taken of anyway.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import torch
from torch import Tensor

from models.audit import Audit, AuditRow
from models.audit.checks import Probe
from models.audit.inputs import Batch, batches
from models.features import LOG_FLOOR
from models.objectives import Objective

MOST: Final = 8
"""Clips that are run a second time."""
SAME: Final = 1e-3
"""Scores that differ by less are the same: another batch sums in another order."""
EXPLODING: Final = 1e6
"""A value of a gradient of the loss: those of log-mels in speech are below a hundred."""
FLOOR: Final = math.log(LOG_FLOOR) + 1e-3


class SilenceCounter:
    """Counts clips of which some frame lies at the log floor, while others read them.

    Attributes:
        clips: that were read.
        at_floor: those with a frame of which half of the bands lie there.
    """

    def __init__(self) -> None:
        self.clips = self.at_floor = 0

    def watch(self, heard: Iterable[Tensor]) -> Iterator[Tensor]:
        """The same clips, (frames, mels) each, as the model's front end gives them."""
        for clip in heard:
            self.clips += 1
            low = (clip <= FLOOR).double().mean(dim=1)
            self.at_floor += bool((low >= 0.5).any())
            yield clip


def probe(audit: Audit, rows: Sequence[AuditRow], silence: SilenceCounter) -> Probe:
    """Run the clips of these rows again.

    Args:
        rows: at most `MOST`, with what was said of them.
        silence: of the whole audit.
    """
    by_index = {row.index: row for row in rows}
    found = [
        _Batch(audit, batch, [by_index[index] for index in batch.indices])
        for batch in batches(audit.victim, audit.clips, "features", list(by_index), audit.batch)
    ]
    return Probe(
        floor_clips=silence.at_floor,
        heard_clips=silence.clips,
        clips=len(rows),
        again=sum(one.again for one in found),
        largest_difference=max((one.difference for one in found), default=0.0),
        zero=sum(one.zero for one in found),
        not_finite=sum(one.not_finite for one in found),
        exploding=sum(one.exploding for one in found),
        largest_gradient=max((one.largest for one in found), default=0.0),
        like_probabilities=sum(one.like_probabilities for one in found),
    )


class _Batch:
    """What is found of clips of one shape."""

    def __init__(self, audit: Audit, batch: Batch, rows: Sequence[AuditRow]) -> None:
        victim, x = audit.victim, batch.x
        view = victim.view("features")
        labels = victim.labels
        scores = view.scores(x).double().softmax(dim=1).cpu()
        before = torch.tensor([[row.clean.scores[name] for name in labels] for row in rows])
        difference = (scores - before).abs().amax(dim=1)
        other = scores.argmax(dim=1) != torch.tensor(
            [labels.index(row.clean.label) for row in rows]
        )
        self.again = int(
            (difference.isnan() | (difference > SAME) | (other & (difference > 0))).sum()
        )
        self.difference = float(difference.nan_to_num(1.0).max())
        y = torch.tensor([labels.index(row.truth) for row in rows], device=x.device)
        gradient = view.gradient(x, Objective(y)).gradient.flatten(1)
        finite = gradient.isfinite().all(dim=1)
        largest = gradient.nan_to_num(0.0, 0.0, 0.0).abs().amax(dim=1)
        self.zero = int((finite & (largest == 0)).sum())
        self.not_finite = int((~finite).sum())
        self.exploding = int((largest > EXPLODING).sum())
        self.largest = float(largest.max())
        with torch.no_grad():
            shown, counts = victim.shown(x, "features")
            logits = victim.net(shown).double()
        alike = ((logits >= 0) & (logits <= 1)).all(dim=1) & ((logits.sum(dim=1) - 1).abs() < SAME)
        self.like_probabilities = sum(bool(one.all()) for one in alike.split(counts))
