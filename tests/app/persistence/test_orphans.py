"""The mark by which a folder that a crash left is told from one of another database."""

from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from app.persistence.orphans import MARK, mark, unmark_on_commit


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    mark(tmp_path)
    return tmp_path


class TestUnmarkOnCommit:
    def test_a_commit_takes_the_mark_away(self, session: Session, folder: Path) -> None:
        session.execute(text("SELECT 1"))
        unmark_on_commit(session, folder)
        assert (folder / MARK).exists()
        session.commit()
        assert not (folder / MARK).exists()

    def test_a_commit_after_a_rollback_unmarks_nothing(
        self, session: Session, folder: Path
    ) -> None:
        session.execute(text("SELECT 1"))
        unmark_on_commit(session, folder)
        session.rollback()
        session.execute(text("SELECT 1"))
        session.commit()
        assert (folder / MARK).exists()

    def test_the_end_of_a_savepoint_is_no_commit(self, session: Session, folder: Path) -> None:
        session.execute(text("SELECT 1"))
        unmark_on_commit(session, folder)
        with session.begin_nested():
            session.execute(text("SELECT 1"))
        assert (folder / MARK).exists()
        session.commit()
        assert not (folder / MARK).exists()
