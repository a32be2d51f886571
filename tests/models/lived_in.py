"""What a network must have kept after it was looked at."""

from typing import Any

import torch
from torch import nn


def lived_in(net: nn.Module) -> nn.Module:
    """Mixed training flags, one frozen parameter, gradients on some: as in the middle of a run."""
    net.train()
    for index, module in enumerate(net.modules()):
        module.training = index % 3 != 1
    for index, parameter in enumerate(net.parameters()):
        parameter.requires_grad_(index != 1)
        if index % 2 == 0:
            parameter.grad = torch.full_like(parameter, 0.5)
    return net


def state_of(net: nn.Module) -> dict[str, Any]:
    """All that an attack could change, copied."""
    state: dict[str, Any] = {"flags": [module.training for module in net.modules()]}
    for name, parameter in net.named_parameters():
        grad = None if parameter.grad is None else parameter.grad.tolist()
        state[name] = (id(parameter), parameter.requires_grad, grad, parameter.tolist())
    for name, buffer in net.named_buffers():
        state[name] = (id(buffer), buffer.requires_grad, buffer.tolist())
    return state
