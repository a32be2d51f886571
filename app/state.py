"""What an endpoint finds of the application: one frozen dataclass, `app.main.AppState`.

A package declares what it needs of it as a dataclass of its own, from which `AppState` inherits:
then no package has to import all others to name the types of the whole.
"""

from typing import TypeVar, cast

from starlette.applications import Starlette
from starlette.requests import HTTPConnection

S = TypeVar("S")


def install_state(app: Starlette, state: object) -> None:
    """Give the application its state."""
    app.state.parts = state


def state_of(of: Starlette | HTTPConnection, view: type[S]) -> S:
    """The state of the application, or of a request's.

    Args:
        view: the dataclass that the caller knows it as, such as `app.jobs.services.Services`.
    """
    app = cast(Starlette, of.app) if isinstance(of, HTTPConnection) else of
    state = app.state.parts
    assert isinstance(state, view)
    return state
