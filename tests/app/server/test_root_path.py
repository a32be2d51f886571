"""Below a path, behind a proxy that takes the path off what it passes on."""

import http.client
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from app.main import create_app
from app.settings import Settings
from models.checkpoint import weights_bytes
from tests.app.listening import listening
from tests.app.predictions.clips import good_wav
from tests.app.tiny import tiny_config, tiny_net

ROOT = "/speech/serval"


@pytest.fixture
def settings(settings: Settings, starters: Path) -> Settings:
    return settings.model_copy(update={"root_path": ROOT, "default_model": "tiny-a"})


def stripping_proxy(upstream: int) -> ThreadingHTTPServer:
    """Passes what lies below `ROOT` on without it, as nginx does with a slash behind proxy_pass."""

    class Handler(BaseHTTPRequestHandler):
        def _pass_on(self) -> None:
            if not self.path.startswith(f"{ROOT}/"):
                self.send_error(404)
                return
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            connection = http.client.HTTPConnection("127.0.0.1", upstream, timeout=60)
            kept = {
                name: value
                for name, value in self.headers.items()
                if name.lower() in {"content-type", "accept", "host"}
            }
            connection.request(self.command, self.path.removeprefix(ROOT), body, kept)
            answer = connection.getresponse()
            content = answer.read()
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() in {"content-type", "location"}:
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)
            connection.close()

        def do_GET(self) -> None:
            self._pass_on()

        def do_POST(self) -> None:
            self._pass_on()

        def log_message(self, *_: object) -> None:
            """Nothing on the terminal of the tests."""

    return ThreadingHTTPServer(("127.0.0.1", 0), Handler)


@pytest.fixture
def outside(settings: Settings) -> Iterator[httpx.Client]:
    """A client of the proxy."""
    with listening(create_app(settings), settings) as port, stripping_proxy(port) as proxy:
        thread = threading.Thread(target=proxy.serve_forever)
        thread.start()
        with httpx.Client(base_url=f"http://127.0.0.1:{proxy.server_port}", timeout=60) as client:
            yield client
        proxy.shutdown()
        thread.join(20)


class TestBelowAPath:
    def test_the_documentation_finds_all_that_it_loads(self, outside: httpx.Client) -> None:
        for page in ("docs", "redoc"):
            text = outside.get(f"{ROOT}/{page}").text
            loaded = set(re.findall(r"""(?:src|href|url|spec-url)\W{1,4}(/[^"']+)["']""", text))
            assert f"{ROOT}/openapi.json" in loaded
            assert len(loaded) > 1
            for path in loaded:
                assert outside.get(path).status_code == 200, path

    def test_the_document_names_the_path_as_its_server(self, outside: httpx.Client) -> None:
        document = outside.get(f"{ROOT}/openapi.json").json()
        assert document["servers"] == [{"url": ROOT}]

    def test_a_prediction(self, outside: httpx.Client) -> None:
        answer = outside.post(f"{ROOT}/v1/predict", content=good_wav())
        assert answer.status_code == 200
        assert outside.post(f"{ROOT}/hf/tiny-z", content=good_wav()).json()["error"]

    def test_a_location_leads_to_what_was_made(self, outside: httpx.Client) -> None:
        made = outside.post(
            f"{ROOT}/v1/models",
            files={"weights": ("w", weights_bytes(tiny_net()))},
            data={"config": tiny_config().to_json()},
        )
        assert made.status_code == 201
        assert made.headers["location"].startswith(f"{ROOT}/v1/models/")
        assert outside.get(made.headers["location"]).json() == made.json()
