"""Why Redis did not do what it was asked: that it does not answer, or what it answered."""

from typing import Final

from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

REFUSALS: Final = {
    "DENIED": "it is in protected mode, which takes no clients from other machines: give it a"
    " password",
    "LOADING": "it is still reading its files",
    "MISCONF": "it cannot write to its disk, which may be full",
    "NOAUTH": "it asks for a password: set REDIS_PASSWORD_FILE, or put it into REDIS_URL",
    "NOPERM": "the user of REDIS_URL may not do that",
    "OOM": "its memory (maxmemory) is full",
    "READONLY": "it is a replica, which takes no writes: give the address of its primary",
    "WRONGPASS": "the password in REDIS_PASSWORD_FILE or REDIS_URL is wrong",
}
"""Redis' answers that concern the whole server or client, not one command: they pass, or are mended
by whoever runs it. Its own words may hold names of users and keys."""


def refusal(error: BaseException) -> str | None:
    """The code of Redis' answer, if it is one of `REFUSALS`."""
    if not isinstance(error, RedisError):
        return None
    code = error.status_code or str(error).partition(" ")[0].removeprefix("-")
    return code if code in REFUSALS else None


def passes(error: BaseException) -> bool:
    """Whether to wait and ask again: nothing is wrong with the command."""
    return (
        isinstance(error, RedisConnectionError | RedisTimeoutError | OSError)
        or refusal(error) is not None
    )


def why(error: BaseException) -> str:
    """What Redis did, as anybody may be told: "does not answer (TimeoutError)"."""
    code = refusal(error)
    if code is not None:
        return f"refuses ({code}): {REFUSALS[code]}"
    if isinstance(error, ResponseError):
        return f"answers with an error ({type(error).__name__})"
    return f"does not answer ({type(error).__name__})"
