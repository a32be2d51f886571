"""The network of a detector: how large are the differences between neighbouring values, and where?

Adversarial changes are small beside speech, and finer than it. So the first layer takes fixed
differences in time and frequency, which leave little of speech and all of such a change, as
steganalysis does (Fridrich & Kodovský, "Rich Models for Steganalysis of Digital Images", IEEE TIFS
2012). Their energy counts by its logarithm: in quiet and smooth places a clean clip has
next to none, and any change stands out there.
"""

from math import comb
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

ORDERS: Final = (
    *((1, 0), (2, 0), (4, 0), (0, 1), (0, 2), (0, 4)),
    *((1, 1), (2, 2), (3, 3), (4, 2), (2, 4)),
)
"""Of the differences: how often in time, and how often in frequency."""
SIZE: Final = 5
"""Of their kernels: a difference of order 4 spans so many values."""
FLOOR: Final = 1e-4
"""Of an energy, in σ²: a hundredth of a standard deviation, less than any attack's strength."""
CHANNELS: Final = 32


class DetectorNet(nn.Module):
    """One logit for each window: the larger, the more it looks attacked.

    Buffers:
        differences: kernels of unit norm, (11, 1, 5, 5).
    """

    differences: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("differences", difference_kernels(), persistent=False)
        self.norm = nn.BatchNorm2d(len(ORDERS))
        self.blocks = nn.Sequential(
            *block(len(ORDERS), CHANNELS),
            *block(CHANNELS, CHANNELS),
        )
        self.classifier = nn.Linear(CHANNELS, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (batch,) of the model's z-scored log-mels (batch, frames, mels)."""
        residuals = functional.conv2d(x.unsqueeze(1), self.differences)
        maps: Tensor = self.blocks(self.norm(torch.log(residuals.square() + FLOOR)))
        logits: Tensor = self.classifier(maps.mean(dim=(2, 3)))
        return logits.squeeze(1)


def block(n_in: int, n_out: int) -> tuple[nn.Module, nn.Module, nn.Module]:
    """3 × 3 convolution without bias that halves time and frequency, batch norm, ReLU."""
    return (
        nn.Conv2d(n_in, n_out, kernel_size=3, stride=2, bias=False),
        nn.BatchNorm2d(n_out),
        nn.ReLU(inplace=True),
    )


def difference_kernels() -> Tensor:
    """Binomial differences, (orders, 1, 5, 5), each of unit norm: white noise keeps its energy."""
    kernels = [torch.outer(_difference(time), _difference(band)) for time, band in ORDERS]
    return torch.stack([kernel / kernel.norm() for kernel in kernels]).unsqueeze(1)


def _difference(order: int) -> Tensor:
    """Of a row of values, as often as ``order`` says, (5,)."""
    row = torch.zeros(SIZE)
    for place in range(order + 1):
        row[place] = (-1) ** place * comb(order, place)
    return row


def served(net: DetectorNet, device: torch.device | str = "cpu") -> nn.Module:
    """The network as predictions, audits and its own figures ask it: a copy in eval mode on
    ``device``, without gradients of its weights."""
    copy = DetectorNet()
    copy.load_state_dict({name: one.cpu() for name, one in net.state_dict().items()})
    copy.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return copy.eval().requires_grad_(False)
