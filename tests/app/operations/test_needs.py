"""What a process needs: each that does not answer is told in one line that names the setting."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from app.jobs.queue import brief_client
from app.jobs.services import Services
from app.observability import logs
from app.operations.needs import Needs, Outages
from app.settings import Settings

Missing = Callable[..., dict[str, str]]


@pytest.fixture
def missing(settings: Settings) -> Iterator[Missing]:
    """`missing(data_dir=…)`: what does not answer with these settings."""
    opened: list[Services] = []

    def missing(**changed: object) -> dict[str, str]:
        given = settings.model_copy(update=changed)
        redis = brief_client(given.redis_url, timeout_seconds=0.5)
        opened.append(Services.open(given, redis))
        return Needs(opened[-1], redis).missing()

    yield missing
    for services in opened:
        services.close()


class TestNeeds:
    def test_nothing_is_missing_where_all_answers(self, missing: Missing) -> None:
        assert missing() == {}

    def test_a_queue_that_is_away_is_named_by_its_address_without_the_password(
        self, missing: Missing
    ) -> None:
        (why,) = missing(redis_url_setting="redis://:hush@127.0.0.1:1/0").values()
        assert why.startswith("REDIS_URL is 'redis://…@127.0.0.1:1/0', and Redis there does not")
        assert "Connection refused" in why
        assert "\n" not in why

    def test_a_database_that_does_not_open_is_named(self, missing: Missing) -> None:
        url = "postgresql://serval:hush@127.0.0.1:1/x"
        (why,) = missing(database_url_setting=url).values()
        assert why.startswith("DATABASE_URL is 'postgresql://…@127.0.0.1:1/x', and the database")
        assert "\n" not in why

    def test_a_database_without_tables_is_told_with_the_remedy(
        self, missing: Missing, tmp_path: Path
    ) -> None:
        (why,) = missing(database_url_setting=f"sqlite:///{tmp_path}/empty.db").values()
        assert "is at revision None" in why
        assert "run `serval migrate`" in why

    def test_a_data_folder_that_cannot_be_written_is_named(
        self, missing: Missing, tmp_path: Path
    ) -> None:
        (tmp_path / "file").touch()
        (why,) = missing(data_dir=tmp_path / "file").values()
        assert why.startswith(f"SERVAL_DATA_DIR is '{tmp_path}/file', which cannot be written")


@pytest.fixture
def verbose() -> Iterator[None]:
    """Lines of any level are told, as by a service with SERVAL_LOG_LEVEL=info."""
    logs.configure("info")
    yield
    logs.configure("error")


class TestOutages:
    @pytest.mark.usefixtures("verbose")
    def test_each_is_told_once_when_it_begins_and_once_when_it_is_over(self) -> None:
        clock = iter([10.0, 14.5])
        outages = Outages(now=lambda: next(clock))
        with capture_logs() as told:
            outages.report({})
            for _ in range(3):
                outages.report({"queue": "REDIS_URL is …"})
            outages.report({})
            outages.report({})
        assert told == [
            {"event": "waiting", "part": "queue", "why": "REDIS_URL is …", "log_level": "error"},
            {"event": "back", "part": "queue", "away_seconds": 4.5, "log_level": "info"},
        ]
