"""The network of a detector: four small convolutions, and the mean over time and frequency."""

from itertools import pairwise
from typing import Final

import torch
from torch import Tensor, nn

CHANNELS: Final = (1, 16, 32, 32, 32)


class DetectorNet(nn.Module):
    """One logit for each window: the larger, the more it looks attacked.

    Adversarial changes are fine-grained and spread over the whole spectrogram, so each layer keeps
    3 × 3 neighbours, and the last one is averaged: how much of the window looks changed counts,
    not where. All but the first layer halve time and frequency, which keeps its cost small beside
    that of the model.
    """

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.Sequential(
            *(
                block(n_in, n_out, stride=1 if n_in == 1 else 2)
                for n_in, n_out in pairwise(CHANNELS)
            )
        )
        self.classifier = nn.Linear(CHANNELS[-1], 1)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (batch,) of the model's z-scored log-mels (batch, frames, mels)."""
        maps: Tensor = self.blocks(x.unsqueeze(1))
        logits: Tensor = self.classifier(maps.mean(dim=(2, 3)))
        return logits.squeeze(1)


def block(n_in: int, n_out: int, *, stride: int) -> nn.Sequential:
    """3 × 3 convolution without bias, batch norm, ReLU."""
    return nn.Sequential(
        nn.Conv2d(n_in, n_out, kernel_size=3, stride=stride, padding=1, bias=False),
        nn.BatchNorm2d(n_out),
        nn.ReLU(inplace=True),
    )


def served(net: DetectorNet, device: torch.device | str = "cpu") -> nn.Module:
    """The network as predictions, audits and its own figures ask it: the same function in eval
    mode, without gradients of its weights, each batch norm folded into the convolution before it.
    """
    folded = DetectorNet()
    folded.load_state_dict({name: one.cpu() for name, one in net.state_dict().items()})
    for one in folded.eval().blocks:
        assert isinstance(one, nn.Sequential)
        convolution, norm = one[0], one[1]
        assert isinstance(convolution, nn.Conv2d)
        assert isinstance(norm, nn.BatchNorm2d)
        one[0] = nn.utils.fuse_conv_bn_eval(convolution, norm)
        one[1] = nn.Identity()
    folded.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return folded.requires_grad_(False)
