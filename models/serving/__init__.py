"""The network as it is served: the same function, arranged for one processor.

Predictions and the scores of an audit come from this view. It has no gradients: training and
attacks use the plain network.
"""

from copy import deepcopy

import torch
from torch import nn

from models.architectures import SpectrogramNet
from models.architectures.cnn4 import CNN4
from models.features import FRAMES
from models.precision import FullFloat32
from models.serving.fast_cnn4 import FastCNN4

__all__ = ["FastCNN4", "scorer", "served"]


def served(net: SpectrogramNet, device: torch.device, frames: int = FRAMES) -> nn.Module:
    """The fastest view of ``net`` for predictions on ``device``.

    Args:
        net: any network; it is left as it was.
        device: where it will run.
        frames: of the clips that it is to be fast for; any other number works.

    Returns:
        A module in eval mode on ``device``: (batch, frames, mels) float32 → logits
        (batch, classes). It follows no later change of ``net``.
    """
    view = scorer(net, device, frames)
    if view is net:
        view = deepcopy(net)
    if device.type == "cuda":
        view = FullFloat32(view)
    return view.to(device).eval().requires_grad_(False)


def scorer(net: nn.Module, device: torch.device, frames: int = FRAMES) -> nn.Module:
    """The same view of a network that stays as it is, for audits: a copy, or ``net`` itself.

    Args:
        net: any network, in any mode, on ``device``.
        device: where it runs.
        frames: of the clips that it is to be fast for; any other number works.

    Returns:
        The fast view in eval mode where there is one, else ``net``, in the mode that it is in.
    """
    if isinstance(net, CNN4) and device.type == "cpu":
        return FastCNN4(net, frames).eval()
    return net
