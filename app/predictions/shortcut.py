"""The way of a prediction past the framework's routers, which take as long as all of ours."""

from collections.abc import Iterable

from fastapi import FastAPI
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from app.predictions.direct_route import DirectRoute
from app.predictions.quick_request import QuickRequest


class Shortcut:
    """Middleware: answers requests for direct routes itself, as the application would.

    Args:
        app: answers all other requests.
        application: whose exception handlers are used.
        routes: with a `max_body_size`, and no parameters in their paths.

    Raises:
        ValueError: a route is not so.
    """

    def __init__(self, app: ASGIApp, application: FastAPI, routes: Iterable[DirectRoute]) -> None:
        self._app = app
        self._ways = {
            (method, route.path): _way(application, route)
            for route in routes
            for method in route.methods or ()
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        way = self._ways.get((scope.get("method", ""), scope.get("path", "")), self._app)
        await way(scope, receive, send)


def _way(application: FastAPI, route: DirectRoute) -> ASGIApp:
    most_bytes = route.max_body_size
    if most_bytes is None or route.param_convertors:
        raise ValueError(f"there is no shortcut to {route.path}: its body or its path is not fixed")
    handle = route.get_route_handler()

    async def way(scope: Scope, receive: Receive, send: Send) -> None:
        scope["route"] = route
        try:
            response = await handle(QuickRequest(scope, receive, send, most_bytes=most_bytes))
        except Exception as error:  # noqa: BLE001  (raised again, in there)
            failed = ExceptionMiddleware(_raise(error), handlers=application.exception_handlers)
            await failed(scope, receive, send)
        else:
            await response(scope, receive, send)

    return way


def _raise(error: Exception) -> ASGIApp:
    """An application that fails with ``error``, for what answers errors by catching them."""

    async def fail(_scope: Scope, _receive: Receive, _send: Send) -> None:
        raise error

    return fail
