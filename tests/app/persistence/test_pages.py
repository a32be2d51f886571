"""Pages of a table's rows: newest first, after the last row of the page before."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy.orm import Session

from app.corpora.tables import Corpus
from app.errors import Invalid
from app.persistence.ids import new_id
from app.persistence.pages import newest_first

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def add(session: Session, *, minute: int, owner: str = "key_me", name: str = "mine") -> str:
    """The id of a row made so many minutes after noon."""
    row = Corpus(
        id=new_id("corpus"),
        owner=owner,
        name=name,
        format="index",
        clips=1,
        classes={},
        speakers=1,
        partitions={},
        skipped=[],
        created_at=NOON + timedelta(minutes=minute),
    )
    session.add(row)
    session.commit()
    return row.id


def page(session: Session, after: str | None = None, limit: int = 20) -> tuple[list[str], bool]:
    rows, more = newest_first(session, Corpus, owner="key_me", after=after, limit=limit)
    return [row.id for row in rows], more


class TestNewestFirst:
    def test_rows_come_by_their_time_and_not_by_when_they_were_inserted(
        self, session: Session
    ) -> None:
        second, third, first = (add(session, minute=minute) for minute in (2, 1, 3))
        assert page(session) == ([first, second, third], False)

    def test_pages_hold_each_row_once_also_where_several_are_of_one_moment(
        self, session: Session
    ) -> None:
        made = {add(session, minute=number // 3) for number in range(7)}
        seen: list[str] = []
        more, after = True, None
        while more:
            ids, more = page(session, after, limit=2)
            assert len(ids) == 2 or not more
            seen += ids
            after = ids[-1]
        assert len(seen) == 7
        assert set(seen) == made
        assert seen == page(session)[0]

    def test_a_page_that_ends_with_the_last_row_has_no_more(self, session: Session) -> None:
        ids = [add(session, minute=minute) for minute in (2, 1)]
        assert page(session, limit=2) == (ids, False)
        assert page(session, after=ids[-1]) == ([], False)

    def test_a_row_that_came_meanwhile_moves_no_page(self, session: Session) -> None:
        last, first = add(session, minute=1), add(session, minute=2)
        add(session, minute=3)
        assert page(session, after=first) == ([last], False)

    def test_rows_of_others_and_those_that_do_not_count_are_left_out(
        self, session: Session
    ) -> None:
        add(session, minute=1, owner="key_you")
        add(session, minute=2, name="old")
        mine = add(session, minute=3)
        rows, more = newest_first(
            session, Corpus, Corpus.name == "mine", owner="key_me", after=None, limit=1
        )
        assert ([row.id for row in rows], more) == ([mine], False)

    @pytest.mark.parametrize("after", ["", "nonsense", "corpus_\0", "corpus_" + "0" * 26])
    def test_what_is_no_rows_id_is_refused_and_named(self, session: Session, after: str) -> None:
        with pytest.raises(Invalid, match="is not the id of one of your corpora"):
            page(session, after)

    def test_the_id_of_anothers_row_is_refused(self, session: Session) -> None:
        with pytest.raises(Invalid, match="one of your corpora"):
            page(session, add(session, minute=1, owner="key_you"))
