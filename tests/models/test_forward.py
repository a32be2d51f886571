"""The three networks compute what the paper's tables say: a second forward, written out by hand.

It reads nothing but the weights by their names, in float64, and knows no layer of torch.nn: whoever
leaves out a ReLU, moves a stride or pools by the average has another function.
"""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from tests.models.lively import lively

State = dict[str, Tensor]
Forward = Callable[[State, Tensor], tuple[Tensor, Tensor]]


def normalised(state: State, name: str, maps: Tensor) -> Tensor:
    """Batch norm with its running statistics, (batch, channels, height, width)."""
    mean, variance, weight, bias = (
        state[f"{name}.{part}"][:, None, None]
        for part in ("running_mean", "running_var", "weight", "bias")
    )
    return (maps - mean) / (variance + 1e-5).sqrt() * weight + bias


def rectified(maps: Tensor) -> Tensor:
    return torch.where(maps > 0, maps, 0.0)


def convolved(state: State, name: str, maps: Tensor, stride: int = 1) -> Tensor:
    """Without bias; zeros around the maps, half a kernel of them."""
    kernel = state[f"{name}.weight"]
    out, _, height, width = kernel.shape
    patches = functional.unfold(maps, (height, width), padding=height // 2, stride=stride)
    size = [(side + 2 * (height // 2) - height) // stride + 1 for side in maps.shape[2:]]
    return (kernel.flatten(1) @ patches).reshape(len(maps), out, *size)


def halved(maps: Tensor) -> Tensor:
    """2x2 max-pool; an odd last row or column is left out."""
    height, width = (side // 2 * 2 for side in maps.shape[2:])
    maps = maps[:, :, :height, :width]
    return torch.stack([maps[:, :, i::2, j::2] for i in (0, 1) for j in (0, 1)]).amax(dim=0)


def classified(state: State, embedding: Tensor) -> tuple[Tensor, Tensor]:
    logits = embedding @ state["classifier.weight"].T + state["classifier.bias"]
    return logits, embedding


def cnn4(state: State, x: Tensor) -> tuple[Tensor, Tensor]:
    """Convolution, batch norm, ReLU, max-pool, in the paper's order; four times; maximum."""
    maps = x[:, None]
    for block in range(4):
        maps = convolved(state, f"blocks.{block}.0", maps)
        maps = halved(rectified(normalised(state, f"blocks.{block}.1", maps)))
    return classified(state, maps.flatten(2).max(dim=2).values)


def vgg16(state: State, x: Tensor) -> tuple[Tensor, Tensor]:
    """Two, two, three, three, three convolutions, a max-pool after each; maximum."""
    maps, layer = x[:, None], 0
    for depth in (2, 2, 3, 3, 3):
        for _ in range(depth):
            maps = convolved(state, f"blocks.{layer}", maps)
            maps = rectified(normalised(state, f"blocks.{layer + 1}", maps))
            layer += 3
        maps = halved(maps)
        layer += 1
    return classified(state, maps.flatten(2).max(dim=2).values)


def resnet50(state: State, x: Tensor) -> tuple[Tensor, Tensor]:
    """7x7 stem, 3x3 max-pool, bottlenecks 3-4-6-3 with the stride on their 3x3; average."""
    maps = rectified(normalised(state, "stem.1", convolved(state, "stem.0", x[:, None], 2)))
    around = functional.pad(maps, (1, 1, 1, 1), value=-torch.inf)
    maps = around.unfold(2, 3, 2).unfold(3, 3, 2).amax(dim=(4, 5))
    for number in range(3 + 4 + 6 + 3):
        stride = 2 if number in {3, 7, 13} else 1
        one, shortcut = f"blocks.{number}.residual", maps
        inner = rectified(normalised(state, f"{one}.1", convolved(state, f"{one}.0", maps)))
        inner = convolved(state, f"{one}.3", inner, stride)
        inner = rectified(normalised(state, f"{one}.4", inner))
        inner = normalised(state, f"{one}.7", convolved(state, f"{one}.6", inner))
        if number in {0, 3, 7, 13}:
            other = f"blocks.{number}.shortcut"
            shortcut = normalised(state, f"{other}.1", convolved(state, f"{other}.0", maps, stride))
        maps = rectified(inner + shortcut)
    return classified(state, maps.flatten(2).sum(dim=2) / maps[0, 0].numel())


@pytest.mark.parametrize("size", [(32, 32), (45, 35)])
@pytest.mark.parametrize("forward", [cnn4, vgg16, resnet50], ids=lambda forward: forward.__name__)
def test_the_network_is_the_formula(forward: Forward, size: tuple[int, int]) -> None:
    net = lively(forward.__name__)
    x = torch.randn(2, *size, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        logits, embedding = net.forward_features(x)
        by_hand, embedded = forward(dict(net.state_dict()), x)
    assert by_hand.std() > 1e-3
    torch.testing.assert_close(embedding, embedded, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(logits, by_hand, rtol=1e-9, atol=1e-12)
