"""One of two processes that train together: ``torchrun --nproc-per-node 2 -m
tests.models.side_by_side FOLDER``. Writes what it has found, for `test_ranks` to compare."""

import sys
from pathlib import Path
from typing import Any, Final

import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional

from models.architectures import ARCHITECTURES
from models.corpus.dataset import Dataset
from models.ranks import ALONE, Ranks, joined
from models.synchronised_batch_norm import synchronised
from models.training import TrainingState, train
from models.training_plan import TrainingPlan
from tests.models.tiny import TinyNet

BATCH: Final = 16
ITERATIONS: Final = 5
HOW: Final[dict[str, dict[str, Any]]] = {
    "single": {"defense": {"type": "single"}},
    "vanilla": {"defense": {"type": "vanilla"}},
    "fused": {"defense": {"type": "vanilla"}, "crafting": "fused"},
    "fused-similarity": {"defense": {"type": "similarity"}, "crafting": "fused"},
    "random-start": {"defense": {"type": "pgd", "steps": 2}},
    "weighed": {"defense": {"type": "vanilla"}, "class_weights": {"0": 3.0}},
}
"""Trainings, by a name."""


def plan(how: dict[str, Any]) -> TrainingPlan:
    """A short training of `TinyNet` with adversarial data from its third iteration on."""
    ARCHITECTURES["tiny"] = TinyNet
    return TrainingPlan.model_validate(
        {
            "architecture": "tiny",
            "n_classes": 3,
            "iterations": ITERATIONS,
            "adversarial_from": 2,
            "epsilon": 0.05,
            "batch_size": BATCH,
            "frames": 32,
            **how,
        }
    )


def corpus() -> Dataset:
    """40 clips of 40 frames."""
    generator = torch.Generator().manual_seed(0)
    frames = torch.randn(40 * 40, 32, generator=generator)
    return Dataset(frames, torch.arange(41) * 40, torch.arange(40) % 3)


def trained(state: TrainingState, ranks: Ranks = ALONE) -> tuple[list[float], dict[str, Tensor]]:
    """Losses, and all that the network then holds."""
    losses: list[float] = []
    data = corpus()
    net = train(
        state,
        data,
        data.standardizer(),
        lambda step: losses.append(step.loss),
        ranks=ranks,
    )
    return losses, {name: value.clone() for name, value in net.state_dict().items()}


def layers() -> nn.Sequential:
    """A batch norm of each kind, with parameters and statistics that are no fresh ones'."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        net = nn.Sequential(
            nn.BatchNorm2d(4),
            nn.ReLU(),
            nn.Flatten(2),
            nn.BatchNorm1d(4, momentum=None, affine=False),
        ).double()
        for tensor in (*net.parameters(), *net.buffers()):
            if tensor.is_floating_point():
                tensor.data.copy_(torch.rand_like(tensor) + 0.5)
    return net


def gradient(weight: Tensor) -> Tensor:
    """Of a weight that has one."""
    assert weight.grad is not None
    return weight.grad


def normalised(net: nn.Sequential, share: slice) -> dict[str, Tensor]:
    """What the layers make of a share of 8 clips, and every gradient of a sum over them."""
    generator = torch.Generator().manual_seed(4)
    x, direction = (
        torch.randn(8, 4, *size, generator=generator, dtype=torch.float64)
        for size in ((3, 5), (15,))
    )
    leaf = (3 * x + 100)[share].clone().requires_grad_(True)
    y = net.train()(leaf)
    (functional.relu(y) * direction[share]).sum().backward()  # type: ignore[no-untyped-call]
    of_weights = {f"{name}.grad": gradient(weight) for name, weight in net.named_parameters()}
    return {"y": y.detach(), "x.grad": gradient(leaf), **net.state_dict(), **of_weights}


def main(folder: Path) -> None:
    """Do all of it, together with the other process."""
    torch.set_num_threads(1)
    found: dict[str, Tensor] = {}
    norms = layers()
    with joined(norms) as ranks:
        shown = normalised(norms, ranks.share(8))
        ranks.average(norms, torch.zeros((), dtype=torch.float64))
        shown |= {f"{name}.grad": gradient(weight) for name, weight in norms.named_parameters()}
        found |= {f"norm/{key}": value for key, value in shown.items()}
        for name, how in HOW.items():
            state = TrainingState(plan(how))
            with synchronised(state.net):
                losses, net = trained(state, ranks)
            found[f"{name}/losses"] = torch.tensor(losses)
            found |= {f"{name}/net/{key}": value for key, value in net.items()}
    save_file({key: value.contiguous() for key, value in found.items()}, folder / f"{ranks.rank}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
