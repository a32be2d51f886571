"""A network that is looked at and not trained: evaluation mode, and no gradients of its weights."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn


@contextmanager
def frozen(net: nn.Module) -> Iterator[nn.Module]:
    """The network in eval mode (batch-norm statistics fixed) and without parameter gradients.

    Skipping the parameters' gradients also saves a third of a backward pass. On leaving, every
    submodule's training flag and every parameter's ``requires_grad`` is what it was. Of a network
    that is frozen already nothing is touched, which is quick: each pass of an attack asks for it.
    """
    modules = list(net.modules())
    training = [module for module in modules if module.training]
    trainable = [p for p in net.parameters() if p.requires_grad]
    cudnn = torch.backends.cudnn.enabled
    try:
        for module in training:
            module.training = False
        for parameter in trainable:
            parameter.requires_grad_(False)
        # cuDNN has no backward pass of a recurrent layer in eval mode; torch's own kernels have.
        if torch.is_grad_enabled() and any(isinstance(one, nn.RNNBase) for one in modules):
            torch.backends.cudnn.enabled = False
        yield net
    finally:
        torch.backends.cudnn.enabled = cudnn
        for parameter in trainable:
            parameter.requires_grad_(True)
        for module in training:
            module.training = True
