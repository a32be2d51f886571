"""Scores that are reported are computed in float32 proper, whatever the process allows."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from models.attacks.fgsm import Fgsm
from models.features import MELS, Standardizer
from models.precision import FullFloat32, full_float32
from models.serving import served
from models.victims import SpectrogramVictim
from tests.models.tiny import TinyNet

CUDNN: Any = torch.backends.cudnn  # its types do not know what is there at run time
ROUNDED, FULL = ("tf32", "tf32"), ("ieee", "ieee")


def allowed() -> tuple[str, str]:
    """What convolutions and recurrent layers are computed in."""
    return CUDNN.conv.fp32_precision, CUDNN.rnn.fp32_precision


class Asked(TinyNet):
    """A network that notes what it is computed in."""

    def __init__(self) -> None:
        super().__init__(3)
        self.noted: list[tuple[str, str]] = []

    def forward(self, x: Tensor) -> Tensor:
        self.noted.append(allowed())
        return super().forward(x)


@pytest.fixture(autouse=True)
def tf32() -> Iterator[None]:
    """As torch has it where nobody asked for anything else."""
    before = allowed()
    CUDNN.conv.fp32_precision, CUDNN.rnn.fp32_precision = ROUNDED
    yield
    CUDNN.conv.fp32_precision, CUDNN.rnn.fp32_precision = before


def test_what_the_process_allows_is_allowed_again_also_after_an_error() -> None:
    with pytest.raises(FloatingPointError), full_float32():
        raise FloatingPointError(allowed())
    assert allowed() == ROUNDED


def test_convolutions_and_recurrent_layers_are_in_full_and_repeat_themselves() -> None:
    before = CUDNN.deterministic
    with full_float32():
        assert allowed() == FULL
        assert CUDNN.deterministic
    assert CUDNN.deterministic == before


def test_whoever_wants_speed_may_round_and_still_repeats_itself() -> None:
    with full_float32(), full_float32(enabled=False):
        assert allowed() == ROUNDED
        assert CUDNN.deterministic


@pytest.mark.parametrize(("exact", "expected"), [(True, FULL), (False, ROUNDED)])
def test_every_pass_of_an_audit_is_in_full_also_a_gradient(
    exact: bool, expected: tuple[str, str]
) -> None:
    net = Asked()
    standardizer = Standardizer(torch.zeros(MELS), torch.ones(MELS))
    view = SpectrogramVictim(net, standardizer, ("a", "b", "c"), 40, exact=exact).view("features")
    x, y = torch.ones(2, 40, MELS), torch.tensor([0, 2])
    view.scores(x)
    view.gradient(x, Fgsm().objective(y))
    assert net.noted == [expected] * 2
    assert allowed() == ROUNDED


def test_so_is_a_prediction() -> None:
    net = Asked().eval()
    x = torch.ones(1, 40, MELS)
    assert torch.equal(FullFloat32(net)(x), net(x))
    assert net.noted == [FULL, ROUNDED]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
def test_a_gpu_serves_so() -> None:
    view = served(Asked(), torch.device("cuda"))
    view(torch.ones(1, 40, MELS, device="cuda"))
    assert isinstance(view, FullFloat32)
    assert isinstance(view.net, Asked)
    assert view.net.noted == [FULL]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
@pytest.mark.parametrize("kind", ["GRU", "LSTM"])
def test_a_recurrent_layer_on_a_gpu_answers_as_on_a_cpu(kind: str) -> None:
    layer = getattr(nn, kind)(64, 128, batch_first=True).eval()
    x = torch.randn(4, 100, 64)
    with torch.no_grad():
        expected = layer(x)[0]
        layer.cuda()
        with full_float32():
            torch.testing.assert_close(layer(x.cuda())[0].cpu(), expected, rtol=0, atol=1e-5)
