"""The schema that migrations make is the one that the tables describe."""

import threading
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import Engine, create_engine, inspect, make_url, text

from app import migrations, tables
from app.migrations import check_revision, current, head, open_database, upgrade
from app.persistence.database import connect, normalized
from app.settings import BadSetting, Settings


class TestUpgrade:
    def test_an_upgrade_leaves_no_difference_to_the_tables(self, database_url: str) -> None:
        engine = connect(database_url)
        with engine.connect() as connection:
            context = MigrationContext.configure(connection, opts={"compare_type": True})
            assert compare_metadata(context, tables.metadata) == []
        engine.dispose()

    def test_an_upgrade_comes_to_the_newest_revision_and_twice_is_once(
        self, tmp_path: Path
    ) -> None:
        url = f"sqlite:///{tmp_path}/new.db"
        for _ in range(2):
            upgrade(url)
        engine = connect(url)
        with engine.connect() as connection:
            assert current(connection) == head()
        engine.dispose()

    def test_processes_that_start_together_do_not_collide(self, tmp_path: Path) -> None:
        url = f"sqlite:///{tmp_path}/new.db"
        failures: list[BaseException] = []

        def start() -> None:
            try:
                upgrade(url)
            except BaseException as error:  # noqa: BLE001
                failures.append(error)

        threads = [threading.Thread(target=start) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failures == []

    def test_one_that_fails_leaves_nothing_half_made(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from alembic.operations import Operations

        def fail(*_: object, **__: object) -> None:
            raise RuntimeError("the power fails")

        url = f"sqlite:///{tmp_path}/new.db"
        monkeypatch.setattr(Operations, "create_index", fail)
        with pytest.raises(RuntimeError, match="the power fails"):
            upgrade(url)
        engine = connect(url)
        assert inspect(engine).get_table_names() == []
        engine.dispose()


class TestWhatWasThereBefore:
    def test_its_size_is_not_known_and_waits_to_be_measured(self, tmp_path: Path) -> None:
        """0 would let a key keep as much again as it keeps already."""
        engine = connect(f"sqlite:///{tmp_path}/old.db")
        to(engine, "0003")
        with engine.begin() as connection:
            columns = "id, kind, owner, status, request, warnings, metadata, attempt"
            values = "'audit_1', 'audit', 'me', 'succeeded', '{}', '[]', '{}', 1"
            connection.execute(
                text(
                    f"INSERT INTO jobs ({columns}, progress_done, created_at, version)"
                    f" VALUES ({values}, 1, '2026-01-01 00:00:00', 3)"
                )
            )
        to(engine, "head")
        with engine.connect() as connection:
            found = connection.execute(text("SELECT bytes, audio_bytes FROM jobs")).one()
        assert tuple(found) == (None, 0)
        engine.dispose()

    def test_a_revision_can_be_taken_back(self, tmp_path: Path) -> None:
        engine = connect(f"sqlite:///{tmp_path}/old.db")
        to(engine, "head")
        to(engine, "0003", back=True)
        assert "deletions" not in inspect(engine).get_table_names()
        to(engine, "head")
        check_revision(engine)
        engine.dispose()


def to(engine: Engine, revision: str, *, back: bool = False) -> None:
    """Bring a database to some revision."""
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        (command.downgrade if back else command.upgrade)(config, revision)


class TestCheckRevision:
    def test_an_empty_database_is_told_apart(self, tmp_path: Path) -> None:
        engine = connect(f"sqlite:///{tmp_path}/empty.db")
        with pytest.raises(RuntimeError, match=f"revision None, this program needs {head()}"):
            check_revision(engine)
        engine.dispose()


class TestEncodings:
    def test_a_postgresql_that_keeps_bytes_is_refused_in_one_line(
        self, postgresql_url: str | None, tmp_path: Path
    ) -> None:
        if postgresql_url is None:
            pytest.skip("needs a PostgreSQL: make test-services")
        admin = create_engine(normalized(postgresql_url), isolation_level="AUTOCOMMIT")
        create = "CREATE DATABASE serval_ascii ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0"
        with admin.connect() as connection:
            connection.execute(text(create))
        bytes_url = make_url(postgresql_url).set(database="serval_ascii", query={})
        settings = Settings(
            data_dir=tmp_path, database_url_setting=bytes_url.render_as_string(hide_password=False)
        )
        try:
            with pytest.raises(BadSetting, match="in the encoding SQL_ASCII: make one") as refused:
                open_database(settings)
            assert "\n" not in str(refused.value)
        finally:
            with admin.connect() as connection:
                connection.execute(text("DROP DATABASE serval_ascii"))
            admin.dispose()
