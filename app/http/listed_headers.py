"""Headers of a request that are lists: one may come in several lines (RFC 9110, Sec. 5.3)."""

from typing import Annotated, Any

from fastapi import Depends, Header, Request
from starlette.datastructures import Headers


def joined(headers: Headers, name: str) -> str | None:
    """All lines of the header as one; None if there is nothing in them."""
    return ", ".join(headers.getlist(name)) or None


def listed(name: str, **documented: Any) -> Any:
    """A dependency on the whole header of that name, `joined`.

    Args:
        name: as the OpenAPI document has it.
        documented: what else that document says of it.
    """

    async def whole(
        request: Request,
        # FastAPI documents it, and would give its first line alone.
        _first: Annotated[str | None, Header(alias=name, **documented)] = None,
    ) -> str | None:
        return joined(request.headers, name)

    return Depends(whole)
