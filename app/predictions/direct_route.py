"""A route whose parameters FastAPI documents and does not resolve.

For an endpoint that is called ten thousand times more often than any other: the resolver takes as
long as all else that surrounds a prediction, above all where a network has just swept the caches.
"""

from collections.abc import Awaitable, Callable, Coroutine
from functools import lru_cache
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from fastapi import APIRouter, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.params import Depends, Query
from fastapi.routing import APIRoute
from pydantic import ValidationError
from starlette.datastructures import QueryParams

from app.schemas import Schema

Handler = Callable[[Request], Coroutine[Any, Any, Response]]
Resolver = Callable[[Request], Awaitable[Any]]

KEPT_QUERIES = 64
"""A service is asked the same few things again and again."""


class DirectRoute(APIRoute):
    """For endpoints that read their body themselves and have parameters of three kinds: the
    request, a dependency on the request alone, a frozen Schema as the query.

    Raises, when the route is made:
        TypeError: a parameter is of another kind.
    """

    def get_route_handler(self) -> Handler:
        """What answers a request: FastAPI's own hook for routes of another kind."""
        hints = get_type_hints(self.endpoint, include_extras=True)
        hints.pop("return", None)
        resolvers = {name: _resolver(name, hint) for name, hint in hints.items()}

        async def handle(request: Request) -> Response:
            values = {name: await resolve(request) for name, resolve in resolvers.items()}
            answer: Response = await self.endpoint(**values)
            return answer

        return handle


def direct_routes(router: APIRouter) -> list[DirectRoute]:
    """Those of ``router`` that are direct."""
    return [route for route in router.routes if isinstance(route, DirectRoute)]


def _resolver(name: str, hint: Any) -> Resolver:
    if hint is Request:
        return _itself
    if get_origin(hint) is Annotated:
        kind, said = get_args(hint)
        if isinstance(said, Depends) and said.dependency is not None:
            dependency: Resolver = said.dependency
            return dependency
        if isinstance(said, Query) and issubclass(kind, Schema):
            return _query(kind)
    raise TypeError(f"a DirectRoute cannot resolve the parameter {name!r} of type {hint}")


async def _itself(request: Request) -> Request:
    return request


def _query(schema: type[Schema]) -> Resolver:
    if not schema.model_config.get("frozen"):
        raise TypeError(f"{schema.__name__} must be frozen: requests with the same query share it")

    @lru_cache(maxsize=KEPT_QUERIES)
    def parsed(query: bytes) -> Schema:
        # Of several values of a name the last one counts, as with FastAPI.
        return schema.model_validate(dict(QueryParams(query)))

    async def resolve(request: Request) -> Schema:
        try:
            return parsed(request.scope["query_string"])
        except ValidationError as error:
            found = [
                {**one, "loc": ("query", *one["loc"])} for one in error.errors(include_url=False)
            ]
            raise RequestValidationError(found) from None

    return resolve
