"""A route of which FastAPI resolves no parameters: its endpoint takes the request alone."""

from starlette.routing import Match, Route
from starlette.types import Scope


class PlainRoute(Route):
    """Starlette's, under whose template requests are counted, as under those of FastAPI's own."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Whether it is asked for; FastAPI's router leaves it to a route to say which it is."""
        match, found = super().matches(scope)
        return match, found if match is Match.NONE else {**found, "route": self}
