"""What every process of the service needs: the database, the queue and the data folder.

Each that does not answer is told in one line that names the setting, its value and a remedy.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

import structlog
from redis import Redis
from redis.exceptions import RedisError
from sqlalchemy.exc import SQLAlchemyError

from app.jobs.queue import JobQueue
from app.jobs.redis_errors import refusal, why
from app.jobs.services import Services
from app.migrations import WrongRevision, check_revision, named_database, why_not_open
from app.processes import serval_command
from app.settings import Settings, cannot_be_written, variable, without_password

log = structlog.get_logger("serval.needs")


Look = Callable[[], object]
"""Returns if a part answers, within seconds; raises what went wrong."""


def parts(services: Services) -> dict[str, Look]:
    """All that every process of the service needs, and what looks at each."""
    return {
        "storage": services.storage.check,
        "database": partial(check_revision, services.engine),
        "queue": services.queue.redis.ping,
    }


class Needs:
    """Asks for each thing that the process needs.

    Args:
        services: whose database and files are asked for.
        redis: a client that gives up soon, see `app.jobs.queue.brief_client`.
    """

    def __init__(self, services: Services, redis: Redis) -> None:
        self._services = replace(services, queue=JobQueue(redis))
        self._parts = parts(self._services) | {"storage": self._storage}
        self._prepared = False

    def missing(self) -> dict[str, str]:
        """What does not answer, and why; empty if all does. Takes some seconds at most."""
        found = {name: self._why_not(name, look) for name, look in self._parts.items()}
        return {name: why_not for name, why_not in found.items() if why_not is not None}

    def _why_not(self, part: str, look: Look) -> str | None:
        settings = self._services.settings
        try:
            look()
        except WrongRevision as error:
            command = serval_command("migrate")
            return f"{named_database(settings)}, and {error}: run `{command}` of this version."
        except SQLAlchemyError as error:
            return why_not_open(settings, error)
        except (RedisError, OSError) as error:
            if isinstance(error, OSError) and part == "storage":
                return cannot_be_written(self._services.storage.root, error)
            return why_not_redis(settings, error)
        return None

    def _storage(self) -> None:
        """Make the folders once; later a folder that is gone is an outage, and not made anew."""
        storage = self._services.storage
        if not self._prepared:
            storage.prepare()
            self._prepared = True
        storage.check()


def why_not_redis(settings: Settings, error: Exception) -> str:
    """Why the queue does not serve, in one line."""
    shown = without_password(settings.redis_url)
    named = f"{variable('redis_url')} is '{shown}', and Redis there {why(error)}"
    if refusal(error) is not None:
        return f"{named}."
    words = " ".join(str(error).split())
    return f"{named}: start it, or correct the address ({words})."


class Outages:
    """Tells each outage once when it begins, and once when it is over.

    Args:
        now: a clock, in seconds.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._since: dict[str, float] = {}

    def report(self, missing: Mapping[str, str]) -> None:
        """Tell what has changed: ``missing`` is all that does not answer now, and why."""
        for part in [part for part in self._since if part not in missing]:
            self.over(part)
        for part, why_not in missing.items():
            self.lost(part, why_not)

    def lost(self, part: str, why_not: str) -> None:
        """It does not answer, and why."""
        if part not in self._since:
            self._since[part] = self._now()
            log.error("waiting", part=part, why=why_not)

    def over(self, part: str) -> None:
        """It answers."""
        since = self._since.pop(part, None)
        if since is not None:
            log.info("back", part=part, away_seconds=round(self._now() - since, 1))
