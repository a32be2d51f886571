"""Scores that are reported are computed in float32 proper, whatever the process allows."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from models.audit import Attack, Audit
from models.corpus.dataset import Dataset
from models.features import MELS
from models.precision import FullFloat32, full_float32
from models.serving import served
from tests.models.tiny import TinyNet

CONV: Any = torch.backends.cudnn.conv  # type: ignore[attr-defined]  # there at run time


class Asked(TinyNet):
    """A network that notes what its convolutions are computed in."""

    def __init__(self) -> None:
        super().__init__(3)
        self.noted: list[str] = []

    def forward(self, x: Tensor) -> Tensor:
        self.noted.append(CONV.fp32_precision)
        return super().forward(x)


@pytest.fixture(autouse=True)
def tf32() -> Iterator[None]:
    """As torch has it where nobody asked for anything else."""
    before = CONV.fp32_precision
    CONV.fp32_precision = "tf32"
    yield
    CONV.fp32_precision = before


def test_what_the_process_allows_is_allowed_again_also_after_an_error() -> None:
    with pytest.raises(FloatingPointError), full_float32():
        raise FloatingPointError(CONV.fp32_precision)
    assert CONV.fp32_precision == "tf32"


def test_every_pass_of_an_audit_is_in_full_also_the_attacks_gradient() -> None:
    features = torch.randn(80, MELS, generator=torch.Generator().manual_seed(1))
    data = Dataset(features, torch.tensor([0, 40, 80]), torch.tensor([0, 2]))
    net = Asked()
    audit = Audit(net, data.standardizer(), data, [Attack((0.1, 0.2))], frames=40)
    audit.batch(torch.arange(2))
    assert net.noted == ["ieee"] * 4  # clean, the gradient, two strengths
    net.noted.clear()
    x, y = audit.inputs(torch.arange(2))
    audit.adversarial(audit.attacks[0], x, y)
    assert net.noted == ["ieee"] * 2
    assert CONV.fp32_precision == "tf32"


def test_so_is_a_prediction() -> None:
    net = Asked().eval()
    x = torch.ones(1, 40, MELS)
    assert torch.equal(FullFloat32(net)(x), net(x))
    assert net.noted == ["ieee", "tf32"]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
def test_a_gpu_serves_so() -> None:
    view = served(Asked(), torch.device("cuda"))
    view(torch.ones(1, 40, MELS, device="cuda"))
    assert isinstance(view, FullFloat32)
    assert isinstance(view.net, Asked)
    assert view.net.noted == ["ieee"]
