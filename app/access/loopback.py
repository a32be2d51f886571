"""This machine asking itself, which needs no key while none was ever made.

The peer and the `Host` that it asks for must both be this machine, so that no web page open in a
browser here can reach the service under another name (DNS rebinding). Nor may such a page change
anything under the right name: a browser says where a request comes from.
"""

import ipaddress
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from app.errors import Forbidden, shown
from app.processes import serval_command

if TYPE_CHECKING:  # the supervisor asks `is_loopback`, and need not wait for FastAPI
    from fastapi import Request

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})  # RFC 9110, 9.2.1: they change nothing

PROXIED = (b"forwarded", b"via", b"x-real-ip", b"x-forwarded-")
"""How the headers begin by which proxies tell that they are one."""


@lru_cache(maxsize=256)
def is_loopback(host: str) -> bool:
    """Whether the address or name is this machine's own."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def check_loopback(request: "Request") -> None:
    """Return if a program of this machine asks, and for this machine.

    Raises:
        Forbidden: the peer or the Host is another one, or a proxy passed the request on.
    """
    peer = request.client.host if request.client is not None else "127.0.0.1"
    authority = request.headers.get("host")
    host = _host(authority) if authority is not None else request.url.hostname or ""
    if is_loopback(peer) and is_loopback(host):
        return _check_no_proxy(request)
    raise Forbidden(
        "No API key was made yet, so only this machine may ask, by the name 127.0.0.1 or localhost"
        f" (this came from {peer}, for {shown(host)}). Make one: {serval_command('keys create')}",
        code="open_on_loopback_only",
    )


def _check_no_proxy(request: "Request") -> None:
    """Refuse what a proxy on this machine passes on: it comes from loopback, whoever asked."""
    passed_on = [name for name, _ in request.scope["headers"] if name.startswith(PROXIED)]
    if passed_on:
        raise Forbidden(
            "No API key was made yet, so only this machine's own programs may ask, and this came"
            f" through a proxy (it has {min(passed_on).decode()}). Make a key:"
            f" {serval_command('keys create')}",
            code="open_on_loopback_only",
        )


def check_origin(request: "Request") -> None:
    """Refuse what a page of another site makes the browser here send (CSRF).

    A form needs no leave of ours to be posted, and no key is asked for. Browsers say where a
    request comes from; programs such as curl and `serval` say nothing, and are no web page.
    """
    if request.method in SAFE_METHODS or _from_here(request):
        return
    raise Forbidden(
        "No API key was made yet, so this machine's own programs may do this, and web pages of"
        f" other sites may not (this came from {_source(request)}). Ask from a program or from"
        f" /docs, or make a key and send it: {serval_command('keys create')}",
        code="cross_site",
    )


def _from_here(request: "Request") -> bool:
    """Whether the request comes from no web page, or from one that this service served.

    Neither header is proof alone: older browsers send no Sec-Fetch-Site, and some requests have no
    Origin. Another port of this machine is another site's page too ("same-site").
    """
    site = request.headers.get("sec-fetch-site")
    origin = request.headers.get("origin")
    if site is not None and site not in {"same-origin", "none"}:
        return False
    return origin is None or _authority(origin) == request.headers.get("host", "").lower()


def _authority(origin: str) -> str | None:
    """The host and port of an Origin such as http://127.0.0.1:8000; None for "null" and the like.

    The scheme is left out: behind a proxy that ends TLS it is not the one that is seen here.
    """
    try:
        return urlsplit(origin).netloc.lower() or None
    except ValueError:  # "http://[" and other things that are no address
        return None


def _source(request: "Request") -> str:
    origin = request.headers.get("origin")
    if origin is not None:
        return f"Origin {shown(origin)}"
    return f"Sec-Fetch-Site {shown(request.headers.get('sec-fetch-site'))}"


@lru_cache(maxsize=256)
def _host(authority: str) -> str:
    """The name or address in a Host header; "" if it is malformed."""
    try:
        return urlsplit(f"//{authority}").hostname or ""
    except ValueError:
        return ""
