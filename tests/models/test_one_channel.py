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
def test_so_does_a_training_that_learns_from_the_same_pass(options: dict[str, Any]) -> None:
    ours, theirs = layers(options)
    x = torch.randn(2, 1, 9, 8, dtype=torch.float64)
    one, other = x.clone().requires_grad_(), x.clone().requires_grad_()
    for layer, images in ((ours, one), (theirs, other)):
        layer(images).square().sum().backward()
    torch.testing.assert_close(one.grad, other.grad, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(ours.weight.grad, theirs.weight.grad, rtol=1e-12, atol=1e-12)


UNLIKE = [
    pytest.param({"bias": True, "padding": 1}, id="bias"),
    pytest.param({"padding": 1, "padding_mode": "reflect"}, id="reflected"),
    pytest.param({"padding": 1, "padding_mode": "circular"}, id="circular"),
    pytest.param({"padding": "same", "kernel_size": 5}, id="same"),
    pytest.param({"padding": "valid"}, id="valid"),
    pytest.param({"padding": 2, "dilation": 2}, id="dilated"),
    pytest.param({"n_in": 2, "groups": 2, "padding": 1}, id="groups"),
    pytest.param({"padding": 1, "unbatched": True}, id="unbatched"),
]


@pytest.mark.parametrize("options", UNLIKE)
def test_a_layer_of_another_kind_is_the_same_function_too(options: dict[str, Any]) -> None:
    chosen = {"n_in": 1, "kernel_size": 3, "bias": False, "unbatched": False} | options
    n_in, unbatched = chosen.pop("n_in"), chosen.pop("unbatched")
    ours = OneChannelConv2d(n_in, 4, **chosen).double().requires_grad_(False)
    theirs = nn.Conv2d(n_in, 4, **chosen).double().requires_grad_(False)
    theirs.load_state_dict(ours.state_dict())
    x = torch.randn(*(() if unbatched else (2,)), n_in, 9, 8, dtype=torch.float64)
    one, other = x.clone().requires_grad_(), x.clone().requires_grad_()
    for layer, images in ((ours, one), (theirs, other)):
        if layer.bias is not None:
            layer.bias.requires_grad_(True)
        layer(images).square().sum().backward()
    torch.testing.assert_close(one.grad, other.grad, rtol=1e-12, atol=1e-12)
    if ours.bias is not None and theirs.bias is not None:
        torch.testing.assert_close(ours.bias.grad, theirs.bias.grad, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("options", LIKE)
def test_under_autocast_it_is_torchs_own_to_the_bit(options: dict[str, Any]) -> None:
    ours, theirs = (layer.float().requires_grad_(False) for layer in layers(options))
    x = torch.randn(2, 1, 9, 8)
    one, other = x.clone().requires_grad_(), x.clone().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        for layer, images in ((ours, one), (theirs, other)):
            result = layer(images)
            assert result.dtype == torch.bfloat16
            result.float().square().sum().backward()
    assert one.grad is not None
    assert other.grad is not None
    assert torch.equal(one.grad, other.grad)


def test_in_half_precision_it_is_torchs_own_to_the_bit() -> None:
    ours, theirs = layers({"kernel_size": 5, "padding": 2})
    x = torch.randn(2, 1, 9, 8, dtype=torch.bfloat16)
    one, other = x.clone().requires_grad_(), x.clone().requires_grad_()
    for layer, images in ((ours, one), (theirs, other)):
        layer.bfloat16().requires_grad_(False)(images).float().square().sum().backward()
    assert one.grad is not None
    assert other.grad is not None
    assert torch.equal(one.grad, other.grad)


def test_an_input_of_another_precision_is_refused_as_torch_does() -> None:
    ours, _ = layers({"kernel_size": 3, "padding": 1})
    x = torch.randn(2, 1, 9, 8, requires_grad=True)
    with pytest.raises(RuntimeError, match="should be the same"):
        ours.requires_grad_(False)(x)


@pytest.mark.parametrize("options", LIKE)
def test_the_gradient_has_a_gradient(options: dict[str, Any]) -> None:
    """As a penalty on it needs."""
    ours, _ = layers(options)
    ours.requires_grad_(False)
    x = torch.randn(2, 1, 9, 8, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradgradcheck(lambda images: ours(images).sin(), x)


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
