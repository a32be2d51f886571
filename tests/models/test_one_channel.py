"""The first convolution: torch's own function, and torch's own gradient by another way."""

from typing import Any

import pytest
import torch
from torch import nn

from models.architectures.one_channel import OneChannelConv2d

LIKE = [
    pytest.param({"kernel_size": 5, "padding": 2}, id="cnn4"),
    pytest.param({"kernel_size": 3, "padding": 1}, id="vgg16"),
    pytest.param({"kernel_size": 7, "padding": 3, "stride": 2}, id="resnet50"),
]


def layers(options: dict[str, Any]) -> tuple[OneChannelConv2d, nn.Conv2d]:
    """One of ours and one of torch's, with the same weights, float64."""
    ours = OneChannelConv2d(1, 4, bias=False, **options).double()
    theirs = nn.Conv2d(1, 4, bias=False, **options).double()
    theirs.load_state_dict(ours.state_dict())
    return ours, theirs


@pytest.mark.parametrize("options", LIKE)
@pytest.mark.parametrize("size", [(9, 8), (12, 7)])
def test_an_attack_sees_the_gradient_of_torchs_own(
    options: dict[str, Any], size: tuple[int, int]
) -> None:
    ours, theirs = layers(options)
    ours.weight.requires_grad_(False)
    x = torch.randn(2, 1, *size, dtype=torch.float64)
    one, other = x.clone().requires_grad_(), x.clone().requires_grad_()
    assert torch.equal(ours(one), theirs(other))
    weights = torch.randn_like(theirs(x))
    (ours(one) * weights).sum().backward()
    (theirs(other) * weights).sum().backward()
    torch.testing.assert_close(one.grad, other.grad, rtol=1e-12, atol=1e-12)
    assert torch.autograd.gradcheck(ours, x.clone().requires_grad_())


@pytest.mark.parametrize("options", LIKE)
def test_a_training_has_torchs_own_gradient_of_the_weights(options: dict[str, Any]) -> None:
    ours, theirs = layers(options)
    x = torch.randn(2, 1, 9, 8, dtype=torch.float64, requires_grad=True)
    for layer in (ours, theirs):
        layer(x).square().sum().backward()
    assert ours.weight.grad is not None
    assert theirs.weight.grad is not None
    assert torch.equal(ours.weight.grad, theirs.weight.grad)


def test_channels_last_maps_have_the_same_gradient() -> None:
    ours, theirs = layers({"kernel_size": 5, "padding": 2})
    ours.weight.requires_grad_(False)
    x = torch.randn(2, 1, 9, 8, dtype=torch.float64)
    one = x.to(memory_format=torch.channels_last).requires_grad_()
    other = x.clone().requires_grad_()
    for layer, images in ((ours, one), (theirs, other)):
        layer(images).to(memory_format=torch.channels_last).square().sum().backward()
    torch.testing.assert_close(one.grad, other.grad, rtol=1e-12, atol=1e-12)
