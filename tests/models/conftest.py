"""Fixtures for the tests of the science. They need no web library, so they also run on a bare GPU
machine."""

from collections.abc import Iterator

import pytest
import torch

from models.architectures import ARCHITECTURES
from models.precision import full_float32
from tests.models.tiny import TinyNet

DEVICES = [
    pytest.param("cpu", id="cpu"),
    pytest.param(
        "cuda",
        id="cuda",
        marks=[
            pytest.mark.gpu,
            pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device"),
        ],
    ),
]


@pytest.fixture(params=DEVICES)
def device(request: pytest.FixtureRequest) -> Iterator[torch.device]:
    """The CPU, and a GPU where there is one (in full float32, as on the CPU)."""
    with full_float32():
        yield torch.device(request.param)


@pytest.fixture
def tiny_architecture(monkeypatch: pytest.MonkeyPatch) -> str:
    """Make a network of 131 weights (three classes) an architecture; its name."""
    monkeypatch.setitem(ARCHITECTURES, "tiny", TinyNet)
    return "tiny"
