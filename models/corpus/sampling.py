"""A smaller sample of a corpus with the corpus's own mixture of emotions."""

import heapq

import torch
from torch import Tensor


def stratified(labels: Tensor, n: int, seed: int = 0) -> Tensor:
    """Draw ``n`` clips, each class in proportion to its share.

    What proportion leaves over goes to the largest remainders; of a class that is there at least
    one clip is drawn, as far as ``n`` goes, so that no recall is lost.

    Args:
        labels: (clips,), int64, not negative.
        n: how many; at least as many as there are clips takes them all.
        seed: of the draw. Equal arguments give an equal sample.

    Returns:
        (min(n, clips),), int64: the drawn clips' indices, rising.

    Raises:
        ValueError: ``n`` is less than 1.
    """
    if n < 1:
        raise ValueError(f"n is {n}: draw at least one clip")
    if n >= len(labels):
        return torch.arange(len(labels))
    generator = torch.Generator().manual_seed(seed)
    sizes = torch.bincount(labels)
    drawn = []
    for group, quota in enumerate(_quotas(sizes.tolist(), n)):
        clips = (labels == group).nonzero().flatten()
        drawn.append(clips[torch.randperm(len(clips), generator=generator)[:quota]])
    return torch.cat(drawn).sort().values


def _quotas(sizes: list[int], n: int) -> list[int]:
    """Clips of each class: one each at first, then whoever is furthest below its share."""
    quotas = [0] * len(sizes)
    total = sum(sizes)
    present = [group for group, size in enumerate(sizes) if size]
    for group in sorted(present, key=lambda group: -sizes[group])[:n]:
        quotas[group] = 1
    ahead = [(quotas[group] - sizes[group] * n / total, group) for group in present]
    heapq.heapify(ahead)
    for _ in range(n - sum(quotas)):
        by, behind = ahead[0]
        quotas[behind] += 1
        if quotas[behind] < sizes[behind]:
            heapq.heapreplace(ahead, (by + 1, behind))
        else:
            heapq.heappop(ahead)
    return quotas
