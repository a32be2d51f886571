"""A route whose parameters are resolved by itself: it answers what FastAPI's own would."""

from typing import Annotated, Any

import pytest
from fastapi import APIRouter, Depends, FastAPI, Query, Request, Response
from fastapi.testclient import TestClient
from pydantic import Field

from app.predictions.direct_route import DirectRoute
from app.schemas import Schema


class Asked(Schema, frozen=True):
    name: str | None = Field(default=None, max_length=3)
    top_k: Annotated[int | None, Field(ge=1)] = None


async def who(request: Request) -> str:
    return request.headers.get("x-who", "nobody")


def app_with(router: APIRouter) -> FastAPI:
    @router.post("/asked")
    async def asked(
        request: Request, caller: Annotated[str, Depends(who)], query: Annotated[Asked, Query()]
    ) -> Response:
        return Response(f"{caller} {query.name} {query.top_k} {len(await request.body())}")

    app = FastAPI()
    app.include_router(router)
    return app


@pytest.fixture(scope="module")
def direct() -> FastAPI:
    return app_with(APIRouter(route_class=DirectRoute))


@pytest.fixture(scope="module")
def fastapis() -> FastAPI:
    return app_with(APIRouter())


@pytest.mark.parametrize(
    "query",
    ["", "name=abc&top_k=2", "name=a&name=b", "top_k=", "top_k=0", "top_k=x&name=abcd", "nmae=a"],
)
def test_it_answers_as_fastapi_does(direct: FastAPI, fastapis: FastAPI, query: str) -> None:
    def answer(app: FastAPI) -> tuple[int, Any]:
        client = TestClient(app)
        got = client.post(f"/asked?{query}", content=b"body", headers={"x-who": "me"})
        return got.status_code, got.json() if got.status_code == 422 else got.text

    assert answer(direct) == answer(fastapis)


def test_it_is_documented_as_fastapis_own(direct: FastAPI, fastapis: FastAPI) -> None:
    assert direct.openapi() == fastapis.openapi()


def test_a_parameter_that_it_cannot_resolve_is_refused_when_the_route_is_made() -> None:
    router = APIRouter(route_class=DirectRoute)

    with pytest.raises(TypeError, match="parameter 'size'"):

        @router.get("/sized")
        async def sized(size: int) -> Response:
            return Response(str(size))


def test_a_query_that_one_request_could_change_for_the_next_is_refused() -> None:
    class Changeable(Schema):
        name: str | None = None

    router = APIRouter(route_class=DirectRoute)

    with pytest.raises(TypeError, match="Changeable must be frozen"):

        @router.get("/asked")
        async def asked(query: Annotated[Changeable, Query()]) -> Response:
            return Response(query.name)
