"""`serval doctor`: looks at all that the service needs on this host, and says what would help.

It makes the data folder where it is absent, as the service would, and changes nothing else.
"""

import shutil
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Final, NamedTuple

from redis.exceptions import RedisError
from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError

from app.jobs.queue import brief_client, living_workers
from app.jobs.services import Services
from app.operations.needs import Needs
from app.persistence.mounts import file_system
from app.settings import BadSetting, Settings

GIB: Final = 2**30
LEAST_FREE_BYTES: Final = 1 * GIB
"""A corpus of CREMA-D's size takes 0.6 GB zipped, and as much again while it is taken in."""
MOST_SKEW_SECONDS: Final = 5.0
"""Between this host's clock and the queue's or the database's: times in rows are a host's own."""


class Finding(NamedTuple):
    """What was found of one part.

    Attributes:
        part: that was looked at.
        ok: whether it serves.
        about: in one line, with the remedy if it does not.
    """

    part: str
    ok: bool
    about: str


def examine(settings: Settings) -> Iterator[Finding]:
    """Look at one part after another; each takes some seconds at most."""
    redis = brief_client(settings.redis_url, timeout_seconds=settings.redis_timeout_seconds)
    services = Services.open(settings, redis)
    try:
        missing = Needs(services, redis).missing()
        for part, about in _needed(services).items():
            why_not = missing.get(part)
            yield Finding(part, why_not is None, why_not or about())
        yield _device(settings)
        yield _models(settings)
        yield _disk(settings)
        yield _clock(services, missing)
    finally:
        services.close()


def _needed(services: Services) -> dict[str, Callable[[], str]]:
    """What is told of each part that answers."""

    def workers() -> str:
        living = living_workers(services.queue)
        return "workers: " + ", ".join(f"{number} of {queue}" for queue, number in living.items())

    folder = services.storage.root
    return {
        "database": lambda: services.engine.url.render_as_string(hide_password=True),
        "queue": workers,
        "storage": lambda: f"{folder}, on {file_system(folder) or 'an unknown file system'}",
    }


def _device(settings: Settings) -> Finding:
    from app.devices import chosen_device

    try:
        return Finding("device", True, str(chosen_device(settings.device)))
    except BadSetting as error:
        return Finding("device", False, str(error))


def _models(settings: Settings) -> Finding:
    """The starters are read and checked as the service does at its start."""
    from app.registry.starters import starters

    names = sorted(starters())
    if settings.default_model in names:
        return Finding("models", True, ", ".join(names))
    return Finding(
        "models",
        settings.default_model.startswith("model_"),
        f"SERVAL_DEFAULT_MODEL is '{settings.default_model}'; the starters are {', '.join(names)}.",
    )


def _disk(settings: Settings) -> Finding:
    try:
        usage = shutil.disk_usage(settings.data_dir.absolute())
    except OSError as error:
        return Finding("disk", False, f"SERVAL_DATA_DIR: {error.strerror}.")
    free = f"{usage.free / GIB:.1f} of {usage.total / GIB:.1f} GiB are free"
    if usage.free >= LEAST_FREE_BYTES:
        return Finding("disk", True, free)
    least = f"less than {LEAST_FREE_BYTES / GIB:g} GiB"
    return Finding("disk", False, f"{free}, {least}: make room for SERVAL_DATA_DIR.")


def _clock(services: Services, missing: dict[str, str]) -> Finding:
    """Against the clocks of Redis and of PostgreSQL; what is missing has none."""
    skews = {}
    try:
        if "queue" not in missing:
            seconds, micros = services.queue.redis.time()
            skews["the queue's"] = seconds + micros / 1e6 - time.time()
        if "database" not in missing and services.engine.dialect.name == "postgresql":
            with services.engine.connect() as connection:
                there = connection.scalar(select(func.clock_timestamp()))
            if there is not None:
                skews["the database's"] = (there - datetime.now(UTC)).total_seconds()
    except (RedisError, OSError, SQLAlchemyError) as error:
        return Finding("clock", False, f"cannot be compared ({type(error).__name__}).")
    if not skews:
        return Finding("clock", True, "nothing to compare with")
    about = ", ".join(f"{skew:+.1f} s is {whose}" for whose, skew in skews.items())
    ok = all(abs(skew) <= MOST_SKEW_SECONDS for skew in skews.values())
    return Finding("clock", ok, about if ok else f"{about}: let NTP set the clocks of all hosts.")
