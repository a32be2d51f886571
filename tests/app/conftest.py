"""Fixtures for tests of the service that need a model: a tiny one, and starters of that kind."""

from pathlib import Path

import pytest

from app.registry import starters as starter_models
from models.architectures import ARCHITECTURES
from tests.app.tiny import Tiny, save_tiny


@pytest.fixture
def tiny_architecture(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make "tiny" an architecture."""
    monkeypatch.setitem(ARCHITECTURES, "tiny", Tiny)


@pytest.fixture
def starters(tiny_architecture: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of two starters, tiny-a and tiny-b, in the place of those that ship."""
    folder = tmp_path / "pretrained"
    for seed, name in enumerate(("tiny-a", "tiny-b")):
        save_tiny(folder / name, seed)
    monkeypatch.setattr(starter_models, "PRETRAINED", folder)
    return folder
