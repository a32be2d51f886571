"""A network with all that makes the real ones delicate, small enough to train in a test."""

import torch
from torch import Tensor, nn

from models.architectures import SpectrogramNet


class TinyNet(SpectrogramNet):
    """Convolution, batch norm, ReLU, max-pool, convolution, batch norm, ReLU; global average."""

    embedding_size = 8

    def __init__(self, n_classes: int) -> None:
        super().__init__()
        self.blocks = nn.Sequential(
            nn.Conv2d(1, 4, kernel_size=3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(4),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(4, self.embedding_size, kernel_size=3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(self.embedding_size),
            nn.ReLU(),
        )
        self.classifier = nn.Linear(self.embedding_size, n_classes)

    def embed(self, images: Tensor) -> Tensor:
        maps: Tensor = self.blocks(images)
        return maps.mean(dim=(2, 3))


def tiny_net(n_classes: int = 3, seed: int = 0) -> TinyNet:
    """A tiny network whose batch norms have statistics unlike a fresh one's, in train mode."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = TinyNet(n_classes)
        for name, buffer in net.named_buffers():
            if buffer.is_floating_point():
                buffer.copy_(torch.rand_like(buffer) + (0.5 if name.endswith("var") else -0.5))
    return net


def clips(n: int = 4, frames: int = 32, mels: int = 32, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Random z-scored clips (n, frames, mels) float32 and labels in 0, 1, 2."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, frames, mels, generator=generator), torch.arange(n) % 3
