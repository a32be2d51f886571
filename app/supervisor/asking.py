"""What the supervisor and `serval health` ask the API; with the standard library alone, so that
both start at once."""

import http.client
import json
from typing import Final
from urllib.parse import urlsplit

ANSWER_SECONDS: Final = 3.0


def why_not_ready(url: str) -> str | None:
    """What the /readyz of the API at ``url`` says is missing, or None if nothing is."""
    try:
        status, body = _get(url, "/readyz")
        told = json.loads(body)
        if status != 200:
            return str(told["detail"])
        idle = [queue for queue, workers in told["workers"].items() if workers == 0]
        return f"no worker works on {' or '.join(idle)} yet." if idle else None
    except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError, AttributeError):
        return "the API does not answer yet."


def why_not_alive(url: str) -> str | None:
    """Why the API at ``url`` is not alive, or None if it is."""
    try:
        status, _ = _get(url, "/healthz")
    except (OSError, http.client.HTTPException) as error:
        return f"{url}/healthz does not answer ({error})."
    return None if status == 200 else f"{url}/healthz answers {status}."


def needs_a_key(url: str) -> bool:
    """Whether the API asks everybody for a key, also on this machine."""
    try:
        return _get(url, "/v1/models")[0] == 401
    except (OSError, http.client.HTTPException):
        return False


def _get(url: str, path: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=ANSWER_SECONDS)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()
