"""The way past the routers: the same answers, sooner."""

from collections.abc import Iterator
from typing import Annotated, Any

import pytest
from fastapi import APIRouter, Depends, FastAPI, HTTPException, Query, Request, Response
from fastapi.testclient import TestClient
from pydantic import Field
from starlette.routing import Router
from starlette.types import Receive, Scope, Send

from app.errors import Forbidden
from app.http import problems
from app.predictions.direct_route import DirectRoute, direct_routes
from app.predictions.shortcut import Shortcut
from app.schemas import Schema
from tests.app.predictions.clips import good_wav

MOST = 10


class Asked(Schema, frozen=True):
    top_k: Annotated[int | None, Field(ge=1)] = None


async def who(request: Request) -> str:
    """Whose name the header says; what it says may be a reason to fail, too."""
    name = request.headers.get("x-who", "nobody")
    if name == "eve":
        raise Forbidden("Not you.", code="eve")
    if name == "teapot":
        raise HTTPException(418, "short and stout")
    if name == "bug":
        raise RuntimeError("here is the bug")
    return name


def routes() -> APIRouter:
    router = APIRouter(route_class=DirectRoute)

    @router.post("/asked", max_body_size=MOST)
    async def asked(
        request: Request, caller: Annotated[str, Depends(who)], query: Annotated[Asked, Query()]
    ) -> Response:
        body = await request.body()
        seen = [caller, query.top_k, len(body), *sorted(request.headers.items())]
        return Response(repr(seen), headers={"X-Route": request.scope["route"].path})

    return router


def application(*, shortcut: bool, router: bool) -> FastAPI:
    app = FastAPI(redirect_slashes=False)
    problems.install(app)
    known = routes()
    if shortcut:
        app.add_middleware(Shortcut, application=app, routes=direct_routes(known))
    if router:
        app.include_router(known)
    return app


@pytest.fixture(scope="module")
def quick() -> TestClient:
    return TestClient(application(shortcut=True, router=True), raise_server_exceptions=False)


@pytest.fixture(scope="module")
def plain() -> TestClient:
    return TestClient(application(shortcut=False, router=True), raise_server_exceptions=False)


def in_chunks(*sizes: int) -> Iterator[bytes]:
    for size in sizes:
        yield b"x" * size


@pytest.mark.parametrize(
    ("method", "path", "more"),
    [
        ("POST", "/asked", {"content": b"body"}),
        ("POST", "/asked?top_k=2", {"content": b""}),
        ("POST", "/asked", {"content": b"x" * MOST}),
        ("POST", "/asked", {"headers": [("X-Who", "me"), ("x-who", "eve")]}),
        ("POST", "/asked?top_k=0", {}),
        ("POST", "/asked?nmae=x", {}),
        ("POST", "/asked", {"headers": {"x-who": "eve"}}),
        ("POST", "/asked", {"headers": {"x-who": "teapot"}}),
        ("POST", "/asked", {"headers": {"x-who": "bug"}}),
        ("GET", "/asked", {}),
        ("HEAD", "/asked", {}),
        ("OPTIONS", "/asked", {}),
        ("POST", "/asked/", {}),
        ("POST", "/ASKED", {}),
        ("POST", "/elsewhere", {}),
        ("GET", "/openapi.json", {}),
    ],
)
def test_it_answers_as_the_application_does(
    quick: TestClient, plain: TestClient, method: str, path: str, more: dict[str, Any]
) -> None:
    def answer(client: TestClient) -> tuple[int, str, dict[str, str]]:
        got = client.request(method, path, **more)
        return got.status_code, got.text, dict(got.headers)

    assert answer(quick) == answer(plain)


def test_the_routers_are_not_asked() -> None:
    client = TestClient(application(shortcut=True, router=False))
    assert client.post("/asked").status_code == 200
    assert client.get("/asked").status_code == 404


def test_a_body_in_pieces_is_put_together(quick: TestClient) -> None:
    answer = quick.post("/asked", content=in_chunks(3, 4, 3))
    assert answer.text.startswith("['nobody', None, 10,")


@pytest.mark.parametrize("content", [b"x" * (MOST + 1), [MOST + 1], [MOST, 1], [1] * 50])
def test_a_larger_body_is_413_and_told_the_limit(
    quick: TestClient, content: bytes | list[int]
) -> None:
    sent = content if isinstance(content, bytes) else in_chunks(*content)
    answer = quick.post("/asked", content=sent)
    assert answer.status_code == 413
    assert answer.headers["content-type"] == "application/problem+json"
    assert f"larger than the {MOST} bytes" in answer.json()["detail"]
    assert quick.post("/asked", content=b"x").status_code == 200


@pytest.mark.parametrize("path", ["/asked", "/asked/{name}"])
def test_a_route_without_a_fixed_path_and_limit_is_refused(path: str) -> None:
    router = APIRouter(route_class=DirectRoute)

    @router.post(path, max_body_size=None if path == "/asked" else MOST)
    async def asked(request: Request) -> Response:
        return Response(await request.body())

    with pytest.raises(ValueError, match="no shortcut to /asked"):
        Shortcut(FastAPI(), FastAPI(), direct_routes(router))


def test_predictions_take_it(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    async def asked(_self: Router, scope: Scope, _receive: Receive, _send: Send) -> None:
        raise AssertionError(f"the routers were asked for {scope['path']}")

    assert client.get("/healthz").status_code == 200
    with monkeypatch.context() as patch:
        patch.setattr(Router, "__call__", asked)
        answer = client.post("/v1/predict", content=good_wav())
    assert answer.status_code == 200
    text = client.get("/metrics").text
    assert 'serval_http_requests_total{method="POST",route="/v1/predict",status="200"} 1.0' in text
