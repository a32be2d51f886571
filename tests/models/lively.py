"""The real networks as a training leaves them, unlike fresh ones."""

import torch
from torch import nn

from models.architectures import SpectrogramNet, build


def lively(name: str) -> SpectrogramNet:
    """The network in float64 and eval mode, no batch norm like another.

    Each has its own scale and shift, and the mean and variance of what comes to it: so half of what
    a ReLU sees is negative, and clips differ to the network up to its logits.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(11)
        net = build(name, 5).double()
        for module in net.modules():
            if isinstance(module, nn.BatchNorm2d):
                nn.init.uniform_(module.weight, 0.5, 1.5)
                nn.init.normal_(module.bias, std=0.2)
                module.momentum = 1.0
        with torch.no_grad():
            net.train()(torch.randn(4, 48, 64, dtype=torch.float64))
    return net.eval()
