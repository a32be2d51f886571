"""Files as answers: whole, in parts, or not at all if the client has them."""

from pathlib import Path
from typing import Any, Final

from fastapi import Response
from fastapi.responses import FileResponse
from starlette.types import Message, Receive, Scope, Send

from app.errors import ServalError
from app.http.etags import unchanged
from app.http.problems import problems

DOWNLOADED: Final[dict[int | str, dict[str, Any]]] = {
    206: {"description": "The asked-for range."},
    304: {"description": "Not changed since that ETag."},
    **problems(416),
}
"""What a route that answers with `download` may answer besides 200."""


class RangeNotSatisfiable(ServalError):
    status, code, title = 416, "range_not_satisfiable", "Range not satisfiable"


class _Malformed(Exception):
    """The client's Range is none."""


def download(path: Path, *, media_type: str, name: str, if_none_match: str | None) -> Response:
    """The file, or 304 if the client has it.

    Args:
        media_type: what it is told to be.
        name: what the client is to call it.
        if_none_match: that header of the request.
    """
    stat = path.stat()
    answer = _Download(path, media_type=media_type, filename=name, stat_result=stat)
    if unchanged(if_none_match, answer.headers["etag"]):
        return Response(status_code=304, headers={"ETag": answer.headers["etag"]})
    return answer


class _Download(FileResponse):
    """Starlette's, but for ranges that cannot be had: it answers those with plain text, and refuses
    what RFC 9110 (Sec. 14.2) says to ignore."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def watched(message: Message) -> None:
            if message["type"] == "http.response.start":
                if message["status"] == 416:
                    raise _beyond(dict(message["headers"])[b"content-range"].decode())
                if message["status"] == 400:
                    raise _Malformed
            await send(message)

        try:
            await super().__call__(scope, receive, watched)
        except _Malformed:
            headers = [(name, value) for name, value in scope["headers"] if name != b"range"]
            await super().__call__({**scope, "headers": headers}, receive, send)


def _beyond(content_range: str) -> RangeNotSatisfiable:
    size = content_range.rpartition("/")[2]
    return RangeNotSatisfiable(
        f"The Range lies outside the file, which has {size} bytes.",
        headers={"Content-Range": content_range},
    )
