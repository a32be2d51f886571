"""A model so small that a test of the service need not wait for it."""

from pathlib import Path

import torch
from torch import Tensor

from models.architectures import SpectrogramNet
from models.checkpoint import ModelConfig, save_model


class Tiny(SpectrogramNet):
    """The smallest thing with the contract of a network; loud and quiet input differ in it."""

    embedding_size = 4

    def __init__(self, n_classes: int) -> None:
        super().__init__()
        self.scale = torch.nn.Parameter(torch.ones(self.embedding_size))
        self.classifier = torch.nn.Linear(self.embedding_size, n_classes)

    def embed(self, images: Tensor) -> Tensor:
        return images.mean(dim=(1, 2, 3)).unsqueeze(1) * self.scale


def tiny_config(*labels: str, frames: int = 32) -> ModelConfig:
    """A configuration of a `Tiny` with these labels. Needs the fixture `tiny_architecture`."""
    return ModelConfig(
        architecture="tiny",
        labels=labels or ("calm", "cross", "sad"),
        mean=(0.0,) * 64,
        std=(1.0,) * 64,
        frames=frames,
        metrics={"test": {"clean_uar": 0.5, "fgsm_uar": {"0.02": 0.25}}},
    )


def tiny_net(n_classes: int = 3, seed: int = 0) -> Tiny:
    """A `Tiny` with weights of its own."""
    torch.manual_seed(seed)
    return Tiny(n_classes)


def save_tiny(folder: Path, seed: int = 0) -> None:
    """A `Tiny` as a folder of files, such as a starter's."""
    folder.mkdir(parents=True)
    save_model(folder, tiny_net(seed=seed), tiny_config())
