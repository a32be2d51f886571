"""Fixtures for tests of the service: a tiny model, starters of that kind, a lost answer."""

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from app.observability import logs
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


@pytest.fixture
def lose_the_answer(monkeypatch: pytest.MonkeyPatch) -> Callable[[Session], None]:
    """Make what the session writes be committed, and the connection break before it hears of it."""

    def lose(session: Session) -> None:
        commit, written = session.commit, threading.Event()
        event.listen(session, "after_flush", lambda *_: written.set())

        def commit_and_break() -> None:
            commit()
            if written.is_set():
                lost = Exception("the connection is lost")
                raise OperationalError("COMMIT", {}, lost, connection_invalidated=True)

        monkeypatch.setattr(session, "commit", commit_and_break)

    return lose


@pytest.fixture
def logged(capsys: pytest.CaptureFixture[str]) -> Callable[[], list[dict[str, Any]]]:
    """The lines of the log since the test began, or since it last asked."""
    logs.configure("info")
    return lambda: [json.loads(line) for line in capsys.readouterr().err.splitlines()]
