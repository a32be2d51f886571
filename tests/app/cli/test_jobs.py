"""`serval jobs`: audits and trainings from the command line."""

import json
from pathlib import Path

import pytest

from tests.app.cli.conftest import Serval


@pytest.fixture
def queued(serval: Serval, url: str, clip: Path) -> list[str]:
    """The ids of three audits that nobody works on, newest first."""
    ask = ("audit", clip, "--model", "tiny-a", "--epsilon", "0.1", "--no-wait")
    return [serval(*ask).out.strip() for _ in range(3)][::-1]


def ids(out: str) -> list[str]:
    return [str(one["id"]) for one in json.loads(out)]


class TestList:
    def test_shows_jobs_newest_first(self, serval: Serval, queued: list[str]) -> None:
        said = serval("jobs", "list")
        assert said.status == 0, said.err
        places = [said.out.index(one) for one in queued]
        assert places == sorted(places)
        assert "queued" in said.out
        assert ids(serval("jobs", "list", "--json").out) == queued

    def test_follows_the_pages(
        self, serval: Serval, queued: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("app.cli.jobs.PAGE", 2)
        assert ids(serval("jobs", "list", "--json").out) == queued

    def test_says_that_there_are_more_than_the_limit(
        self, serval: Serval, queued: list[str]
    ) -> None:
        said = serval("jobs", "list", "--json", "--limit", "2")
        assert ids(said.out) == queued[:2]
        assert "There are more than these 2" in said.err
        assert serval("jobs", "list", "--limit", "3").err == ""

    @pytest.mark.parametrize(
        ("options", "count"),
        [
            (("--kind", "audit"), 3),
            (("--kind", "training"), 0),
            (("--status", "queued"), 3),
            (("--status", "failed"), 0),
        ],
    )
    def test_shows_those_of_a_kind_or_state(
        self, serval: Serval, queued: list[str], options: tuple[str, ...], count: int
    ) -> None:
        assert len(ids(serval("jobs", "list", "--json", *options).out)) == count


class TestShow:
    def test_of_a_job_that_waits_is_its_state(self, serval: Serval, queued: list[str]) -> None:
        said = serval("jobs", "show", queued[0])
        assert said.status == 0
        assert queued[0] in said.out
        assert "queued" in said.out
        assert json.loads(serval("jobs", "show", queued[0], "--json").out)["status"] == "queued"

    def test_of_an_audit_that_succeeded_is_what_it_found(
        self, serval: Serval, audited: str
    ) -> None:
        said = serval("jobs", "show", audited)
        assert said.status == 0
        assert "tiny-a on 1 clips" in said.out

    def test_of_a_cancelled_job_ends_with_1(self, serval: Serval, queued: list[str]) -> None:
        serval("jobs", "cancel", queued[0])
        said = serval("jobs", "show", queued[0])
        assert said.status == 1
        assert f"{queued[0]} cancelled" in said.err

    def test_of_no_job_is_refused(self, serval: Serval, url: str) -> None:
        said = serval("jobs", "show", "audit_1")
        assert said.status == 1
        assert "audit_1" in said.err


class TestFollow:
    def test_shows_what_was_found_at_the_end(self, serval: Serval, audited: str) -> None:
        said = serval("jobs", "follow", audited)
        assert said.status == 0, said.err
        assert "tiny-a on 1 clips" in said.out
        assert json.loads(serval("jobs", "follow", audited, "--json").out)["id"] == audited


class TestCancel:
    def test_ends_several_jobs_and_twice_is_as_once(
        self, serval: Serval, queued: list[str]
    ) -> None:
        said = serval("jobs", "cancel", *queued[:2])
        assert said.out == "".join(f"{one} is cancelled.\n" for one in queued[:2])
        assert serval("jobs", "cancel", queued[0]).status == 0
        left = ids(serval("jobs", "list", "--json", "--status", "queued").out)
        assert left == queued[2:]

    def test_of_what_has_ended_says_how_it_ended(self, serval: Serval, audited: str) -> None:
        assert serval("jobs", "cancel", audited).out == f"{audited} is succeeded.\n"


class TestRemove:
    def test_deletes_what_has_ended(self, serval: Serval, audited: str) -> None:
        assert serval("jobs", "remove", audited).out == f"{audited} is removed.\n"
        assert serval("jobs", "show", audited).status == 1

    def test_of_what_waits_is_refused(self, serval: Serval, queued: list[str]) -> None:
        said = serval("jobs", "remove", queued[0])
        assert said.status == 1
        assert said.out == ""
        assert len(ids(serval("jobs", "list", "--json").out)) == 3
