"""The REST API as the commands use it: JSON in, JSON out, and problems as messages for people."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType
from typing import Annotated, Any, Final, Self

import httpx
import typer

from app.cli.errors import CliError

Url = Annotated[str, typer.Option(help="Address of the service.", envvar="SERVAL_URL")]
Key = Annotated[
    str | None,
    typer.Option(help="API key, sk_…", envvar="SERVAL_API_KEY", show_envvar=True),
]
DEFAULT_URL: Final = "http://127.0.0.1:8000"

is_id = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*").fullmatch
"""Whether a part of a path is one, and no path of its own."""
PAGE: Final = 100

CONNECT_SECONDS: Final = 5.0
ANSWER_SECONDS: Final = 60.0


class Unreachable(CliError):
    """Nobody answers."""


class Refused(CliError):
    """The service answers with a problem.

    Attributes:
        status: of the answer.
        code: stable name of the problem.
    """

    def __init__(self, message: str, status: int, code: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


class Api:
    """A connection to the service."""

    def __init__(self, url: str, key: str | None) -> None:
        self.url = url.rstrip("/")
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        try:
            self._client = httpx.Client(
                base_url=self.url,
                headers=headers,
                timeout=httpx.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS),
            )
        except (httpx.InvalidURL, ValueError) as error:
            raise CliError(f"{url!r} is not an address such as {DEFAULT_URL}: {error}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._client.close()

    def get(self, path: str, **params: Any) -> Any:
        """GET; parameters that are None are left out."""
        known = {name: value for name, value in params.items() if value is not None}
        return self.send("GET", path, params=known)

    def post(self, path: str, **arguments: Any) -> Any:
        """POST."""
        return self.send("POST", path, **arguments)

    def delete(self, path: str) -> None:
        """DELETE."""
        self.send("DELETE", path)

    def send(self, method: str, path: str, **arguments: Any) -> Any:
        """The JSON of the answer; None if it is empty.

        Raises:
            Unreachable: nobody answers.
            Refused: the answer is a problem.
        """
        try:
            answer = self._client.request(method, path, **arguments)
        except (httpx.TransportError, httpx.UnsupportedProtocol) as error:
            raise self._unreachable(error) from error
        except ValueError as error:
            raise CliError(f"This cannot be sent as JSON: {error}.") from error
        _check(answer)
        return answer.json() if answer.content else None

    def text(self, path: str, **params: str | None) -> str:
        """GET of a text that is no JSON; see `content`."""
        return self.content(path, seconds=ANSWER_SECONDS, **params).decode()

    def content(self, path: str, *, seconds: float = ANSWER_SECONDS, **params: str | None) -> bytes:
        """GET of what is no JSON; parameters that are None are left out.

        Args:
            seconds: how long the answer may take.

        Raises:
            Unreachable, Refused: as `send`.
        """
        known = {name: value for name, value in params.items() if value is not None}
        timeout = httpx.Timeout(seconds, connect=CONNECT_SECONDS)
        try:
            answer = self._client.get(path, params=known, timeout=timeout)
        except (httpx.TransportError, httpx.UnsupportedProtocol) as error:
            raise self._unreachable(error) from error
        _check(answer)
        return answer.content

    def pages(self, path: str, *, by: str = "id", **params: Any) -> Iterator[dict[str, Any]]:
        """All items of a list, page by page.

        Args:
            by: the field of an item that the page behind it is asked for with.
        """
        after = None
        while True:
            page = self.get(path, after=after, **params)
            yield from page["data"]
            if not page["has_more"]:
                return
            after = page["data"][-1][by]

    @contextmanager
    def stream(
        self,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
    ) -> Iterator[httpx.Response]:
        """An answer to GET whose content comes piece by piece.

        Raises:
            Unreachable, Refused: as `send`; Unreachable also when it breaks off.
        """
        try:
            with self._client.stream("GET", path, headers=headers, params=params) as answer:
                if answer.is_error:
                    answer.read()
                    _check(answer)
                yield answer
        except httpx.TransportError as error:
            raise self._unreachable(error) from error

    @contextmanager
    def lines(self, path: str, headers: dict[str, str]) -> Iterator[Iterator[str]]:
        """The lines of an answer that goes on and on.

        Raises:
            Unreachable, Refused: as `stream`.
        """
        with self.stream(path, headers=headers) as answer:
            yield answer.iter_lines()

    def _unreachable(self, error: Exception) -> Unreachable:
        return Unreachable(
            f"No Serval answers at {self.url} ({str(error) or type(error).__name__})."
            " Start one with `serval up`, or say where it is: --url or SERVAL_URL."
        )


def path_to(collection: str, *parts: str) -> str:
    """The path of a resource.

    Raises:
        CliError: a part is no id.
    """
    for part in parts:
        if is_id(part) is None:
            raise CliError(f"{part!r} is no id: give one as the lists show it.")
    return "/".join(("/v1", collection, *parts))


def _check(answer: httpx.Response) -> None:
    if not answer.is_error:
        return
    try:
        problem = answer.json()
        lines = [f"{problem['title']}: {problem['detail']}"]
        errors = problem.get("errors", [])
        code = str(problem.get("code", ""))
    except (ValueError, KeyError, TypeError):
        text = answer.text[:200].strip()
        message = f"{answer.url} answers {answer.status_code}, not as Serval does: {text}"
        raise Refused(message, answer.status_code, "") from None
    if len(errors) > 1:
        lines += [f"  {one['field']}: {one['message']}" for one in errors]
    if "retry-after" in answer.headers:
        lines.append(f"Try again in {answer.headers['retry-after']} s.")
    raise Refused("\n".join(lines), answer.status_code, code)
