"""A job's events, as a list or as they come."""

import json
import threading
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy.orm import Session, sessionmaker

from app.access.keys.service import create_key, revoke_key
from tests.app.jobs.conftest import AtLook, Claim, Looked, Make
from tests.conftest import POLL_SECONDS, MakeKey

STREAM = {"Accept": "text/event-stream"}


def parsed(text: str) -> list[dict[str, str]]:
    """The server-sent events of a stream, each as its fields; comments are left out."""
    events = []
    for block in text.split("\n\n"):
        lines = [line for line in block.split("\n") if line and not line.startswith(":")]
        if lines:
            events.append(dict(line.split(": ", 1) for line in lines))
    return events


@pytest.fixture
def ended(make_job: Make, run: Claim) -> str:
    """The id of a job that went from queued over two steps to success."""
    job = make_job()
    attempt = run(job.id)
    attempt.progress(1, 2, "steps")
    for step in range(2):
        attempt.event("step", {"loss": step})
    attempt.succeed({"n": 1})
    return job.id


class TestAsAList:
    def test_events_come_in_order_with_rising_ids(self, client: TestClient, ended: str) -> None:
        page = client.get(f"/v1/jobs/{ended}/events").json()
        assert [e["type"] for e in page["data"]] == [
            "queued",
            "running",
            "step",
            "step",
            "succeeded",
        ]
        ids = [event["id"] for event in page["data"]]
        assert ids == sorted(set(ids))
        assert page["data"][2]["data"] == {"loss": 0}
        assert page["data"][0]["created_at"].endswith("Z")

    def test_events_come_in_pages(self, client: TestClient, ended: str) -> None:
        first = client.get(f"/v1/jobs/{ended}/events?limit=2").json()
        assert first["has_more"] is True
        after = first["data"][-1]["id"]
        rest = client.get(f"/v1/jobs/{ended}/events?after={after}").json()
        assert [event["type"] for event in rest["data"]] == ["step", "step", "succeeded"]

    @pytest.mark.parametrize(
        "accept",
        [
            *("*/*", "application/json", "", "text/html"),
            *("text/event-stream;q=0", "text/event-stream;q=0.5, application/json"),
        ],
    )
    def test_unless_a_stream_is_asked_for(
        self, client: TestClient, ended: str, accept: str
    ) -> None:
        answer = client.get(f"/v1/jobs/{ended}/events", headers={"Accept": accept})
        assert answer.headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    ("accept", "last", "status"),
    [
        ("application/json", "0", 200),
        ("text/event-stream", "0", 200),
        ("text/event-stream", "99", 204),
        ("text/event-stream", "x", 422),
        ("text/event-stream", "-1", 422),
        ("application/json", "-1", 422),
    ],
)
def test_caches_are_told_that_the_answer_hangs_on_accept(
    client: TestClient, ended: str, accept: str, last: str, status: int
) -> None:
    headers = {"Accept": accept, "Last-Event-ID": last}
    answer = client.get(f"/v1/jobs/{ended}/events", headers=headers)
    assert (answer.status_code, answer.headers["vary"]) == (status, "Accept")


class TestAsAStream:
    @pytest.mark.parametrize(
        "accept",
        [
            "text/event-stream",
            "TEXT/EVENT-STREAM",
            "text/*",
            "application/json;q=0.5, text/event-stream",
        ],
    )
    def test_a_stream_is_answered_if_one_is_asked_for(
        self, client: TestClient, ended: str, accept: str
    ) -> None:
        answer = client.get(f"/v1/jobs/{ended}/events", headers={"Accept": accept})
        assert answer.headers["content-type"].startswith("text/event-stream")

    def test_a_stream_may_be_asked_for_in_a_second_line(
        self, client: TestClient, ended: str
    ) -> None:
        headers = [("Accept", "application/json;q=0.5"), ("Accept", "text/event-stream")]
        answer = client.get(f"/v1/jobs/{ended}/events", headers=headers)
        assert answer.headers["content-type"].startswith("text/event-stream")

    def test_an_ended_job_tells_its_life_and_closes(self, client: TestClient, ended: str) -> None:
        answer = client.get(f"/v1/jobs/{ended}/events", headers=STREAM)
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert answer.headers["cache-control"] == "no-cache"
        events = parsed(answer.text)
        assert [e["event"] for e in events] == ["queued", "running", "step", "step", "succeeded"]
        last = json.loads(events[-1]["data"])
        assert str(last["id"]) == events[-1]["id"]
        assert last["created_at"].endswith("Z")

    def test_a_stream_goes_on_after_the_last_event_seen(
        self, client: TestClient, ended: str
    ) -> None:
        events = parsed(client.get(f"/v1/jobs/{ended}/events", headers=STREAM).text)
        headers = STREAM | {"Last-Event-ID": events[2]["id"]}
        rest = parsed(client.get(f"/v1/jobs/{ended}/events", headers=headers).text)
        assert rest == events[3:]

    def test_a_stream_begins_where_the_address_says_until_an_event_was_seen(
        self, client: TestClient, ended: str
    ) -> None:
        """A browser's EventSource sends no header at first, and the address again at last."""
        url = f"/v1/jobs/{ended}/events"
        events = parsed(client.get(url, headers=STREAM).text)
        at = {"after": events[0]["id"]}
        assert parsed(client.get(url, params=at, headers=STREAM).text) == events[1:]
        headers = STREAM | {"Last-Event-ID": events[2]["id"]}
        assert parsed(client.get(url, params=at, headers=headers).text) == events[3:]

    def test_an_event_source_is_told_to_stop_when_nothing_can_follow(
        self, client: TestClient, ended: str
    ) -> None:
        events = parsed(client.get(f"/v1/jobs/{ended}/events", headers=STREAM).text)
        headers = STREAM | {"Last-Event-ID": events[-1]["id"]}
        answer = client.get(f"/v1/jobs/{ended}/events", headers=headers)
        assert (answer.status_code, answer.content) == (204, b"")

    def test_events_come_as_they_happen_with_progress_between(
        self, client: TestClient, make_job: Make, run: Claim, looked: Looked
    ) -> None:
        job = make_job()
        attempt = run(job.id)

        def work() -> None:
            for step in range(3):
                looked()
                attempt.progress(step + 1, 3, "steps")
                attempt.event("step", {"loss": step})
            attempt.succeed({})

        worker = threading.Thread(target=work)
        worker.start()
        events = parsed(client.get(f"/v1/jobs/{job.id}/events", headers=STREAM).text)
        worker.join()
        told: list[Any] = [e["event"] for e in events if e["event"] != "progress"]
        assert told == ["queued", "running", "step", "step", "step", "succeeded"]
        progress = [json.loads(e["data"])["done"] for e in events if e["event"] == "progress"]
        assert progress == sorted(progress)
        assert {1, 2} <= set(progress)  # the third may be told by the end alone
        assert all("id" not in e for e in events if e["event"] == "progress")

    def test_an_idle_one_is_kept_alive(
        self,
        client: TestClient,
        make_job: Make,
        run: Claim,
        looked: Looked,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr("fastapi.routing._PING_INTERVAL", POLL_SECONDS / 4)
        job = make_job()
        attempt = run(job.id)

        def work() -> None:
            looked()  # a sleep lies between its two looks
            attempt.succeed({})

        worker = threading.Thread(target=work)
        worker.start()
        text = client.get(f"/v1/jobs/{job.id}/events", headers=STREAM).text
        worker.join()
        assert ": ping\n\n" in text

    @pytest.mark.parametrize("how", ["its key is revoked", "the first key is made"])
    def test_a_stream_ends_at_its_next_look_when(
        self,
        client: TestClient,
        make_job: Make,
        run: Claim,
        make_key: MakeKey,
        at_look: AtLook,
        make_sessions: sessionmaker[Session],
        how: str,
    ) -> None:
        key = make_key("audit") if how == "its key is revoked" else None
        attempt = run(make_job(owner=key.id if key else "local").id)

        def shut_out() -> None:
            with make_sessions() as session:
                if key:
                    revoke_key(session, key.id, actor="cli")
                else:
                    create_key(session, name="first", scopes=["audit"])

        at_look(2, shut_out)
        at_look(3, lambda: attempt.succeed({}))  # or one that goes on would do so for ever
        headers = STREAM | (key.headers if key else {})
        events = parsed(client.get(f"/v1/jobs/{attempt.job_id}/events", headers=headers).text)
        assert [e["event"] for e in events if e["event"] != "progress"] == ["queued", "running"]

    def test_refusals_are_problems_and_come_before_the_stream(
        self, client: TestClient, make_job: Make, make_key: MakeKey
    ) -> None:
        job = make_job()
        url = f"/v1/jobs/{job.id}/events"
        for last in ("x", "-1", "1" * 30, "²"):
            headers = {b"accept": b"text/event-stream", b"last-event-id": last.encode()}
            assert client.get(url, headers=headers).status_code == 422
        assert client.get("/v1/jobs/audit_x/events", headers=STREAM).status_code == 404
        make_key("audit")
        answer = client.get(url, headers=STREAM)
        assert answer.status_code == 401
        assert answer.headers["content-type"] == "application/problem+json"
