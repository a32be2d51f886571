"""The typed state of an application under test: to look at, and to change."""

from dataclasses import replace
from typing import Any, cast

from fastapi import FastAPI

from app.main import AppState
from app.state import install_state, state_of


def state(app: Any) -> AppState:
    """What its endpoints find. Any: `client.app` has no better type."""
    return state_of(cast(FastAPI, app), AppState)


def change(app: Any, **parts: Any) -> None:
    """From the next request on, endpoints find these parts in place of those of the same name."""
    install_state(app, replace(state(app), **parts))


def reconfigure(app: Any, **settings: Any) -> None:
    """From the next request on, endpoints find these settings changed. What was made from the
    former ones stays as it is."""
    change(app, settings=state(app).settings.model_copy(update=settings))
