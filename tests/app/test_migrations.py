"""The schema that migrations make is the one that the tables describe."""

import threading
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, inspect, make_url, text

from app import tables
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
