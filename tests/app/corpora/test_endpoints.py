"""Corpora over REST: taken in whole or refused with a reason, seen by their owner alone."""

import io
import json
import threading
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from httpx2 import Response
from sqlalchemy import delete, event
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session
from starlette.types import Message

from app.corpora import endpoints, importing, service
from app.corpora.importing import Watch
from app.corpora.schemas import CorpusRequest
from app.corpora.tables import Corpus
from app.errors import ClientGone
from app.jobs.service import Submission
from app.jobs.states import JobKind, JobStatus
from app.persistence import orphans
from app.persistence.ids import new_id
from app.settings import Settings
from models.corpus.folds import Fold
from tests.app.corpora.zips import corpus_zip, flac, index, packed, rows, step, upload, wav
from tests.app.state import reconfigure, state
from tests.conftest import MakeKey
from tests.recorded import record


def left(settings: Settings) -> list[str]:
    """What lies in the folders of corpora and of staging."""
    root = settings.data_dir
    return sorted(path.name for name in ("corpora", "staging") for path in (root / name).iterdir())


def collect(app: FastAPI, older_than: float = -1) -> int:
    return orphans.collect(
        state(app).sessions, state(app).storage, "corpora", Corpus.id, older_than=older_than
    )


def problem(answer: Response, status: int, code: str) -> dict[str, Any]:
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    body: dict[str, Any] = answer.json()
    assert (answer.status_code, body["code"]) == (status, code), body
    return body


class TestWhoMay:
    def test_anonymous_is_401(self, client: TestClient, make_key: MakeKey) -> None:
        make_key("admin")
        problem(upload(client, corpus_zip()), 401, "key_missing")
        problem(client.get("/v1/corpora"), 401, "key_missing")

    def test_a_key_without_audit_or_train_is_403(
        self, client: TestClient, make_key: MakeKey
    ) -> None:
        key = make_key("predict")
        problem(upload(client, corpus_zip(), headers=key.headers), 403, "scope_missing")

    def test_anothers_is_404_and_not_in_the_list(
        self, client: TestClient, make_key: MakeKey
    ) -> None:
        ours, theirs = make_key("train"), make_key("audit")
        made = upload(client, corpus_zip(), headers=ours.headers).json()
        path = f"/v1/corpora/{made['id']}"
        assert client.get(path, headers=ours.headers).status_code == 200
        problem(client.get(path, headers=theirs.headers), 404, "not_found")
        problem(client.delete(path, headers=theirs.headers), 404, "not_found")
        assert client.get("/v1/corpora", headers=theirs.headers).json()["data"] == []

    def test_who_may_not_is_told_before_the_upload_is_read(
        self, client: TestClient, make_key: MakeKey
    ) -> None:
        make_key("admin")
        answer = client.post(
            "/v1/corpora",
            content=b"no form at all",
            headers={"content-type": "multipart/form-data"},
        )
        problem(answer, 401, "key_missing")

    def test_one_key_imports_one_at_a_time_and_leaves_the_other_place(
        self, client: TestClient, make_key: MakeKey
    ) -> None:
        busy, other = make_key("train"), make_key("train")
        with endpoints.IMPORTS.one(busy.id):
            refused = upload(client, corpus_zip(), headers=busy.headers)
            taken = upload(client, corpus_zip(), headers=other.headers)
        problem(refused, 429, "imports_busy")
        assert int(refused.headers["retry-after"]) >= 1
        assert taken.status_code == 201


class TestCreate:
    def test_the_answer_says_what_the_corpus_holds(self, client: TestClient) -> None:
        answer = upload(client, corpus_zip(), name="small", format="index")
        assert answer.status_code == 201
        made = answer.json()
        assert answer.headers["location"] == f"/v1/corpora/{made['id']}"
        assert made["object"] == "corpus"
        assert made["name"] == "small"
        assert made["format"] == "index"
        assert made["clips"] == 8
        assert made["classes"] == {"anger": 4, "neutral": 4}
        assert made["speakers"] == 4
        assert made["skipped"] == []
        assert list(made["partitions"]) == ["train", "dev", "test"]
        assert made["partitions"]["train"] == {
            "clips": 4,
            "speakers": 2,
            "classes": {"anger": 2, "neutral": 2},
            "genders": {},
            "seconds": 0.8,
        }

    def test_one_that_was_made_can_be_read_and_listed_newest_first(
        self, client: TestClient
    ) -> None:
        made = [upload(client, corpus_zip(), name=name).json() for name in ("one", "two", "three")]
        assert client.get(f"/v1/corpora/{made[0]['id']}").json() == made[0]
        page = client.get("/v1/corpora", params={"limit": 2}).json()
        assert [one["name"] for one in page["data"]] == ["three", "two"]
        assert page["has_more"]
        rest = client.get("/v1/corpora", params={"after": page["data"][-1]["id"]}).json()
        assert [one["name"] for one in rest["data"]] == ["one"]
        assert not rest["has_more"]

    def test_emotions_get_the_names_that_are_asked_for(self, client: TestClient) -> None:
        listed = [(p, s, {"anger": "Angry", "neutral": "flat"}[e], "") for p, s, e, _ in
                  rows(dict.fromkeys("abc", ""))]  # fmt: skip
        clips = {path: wav(seed) for seed, (path, *_) in enumerate(listed)}
        data = packed({"index.csv": index(listed), **clips})
        assert set(upload(client, data).json()["classes"]) == {"angry", "flat"}
        made = upload(client, data, aliases=True, labels={"Flat": "neutral"}).json()
        assert made["classes"] == {"anger": 3, "neutral": 3}
        refused = problem(upload(client, data, labels={"agner": "anger"}), 422, "unknown_label")
        assert "angry, flat" in refused["detail"]

    def test_what_makes_its_partitions_weak_is_told(self, client: TestClient) -> None:
        told = upload(client, corpus_zip()).json()["warnings"]
        assert any("test has one speaker" in one for one in told)
        assert any("train has fewer than 5 clips of anger (2), neutral (2)" in one for one in told)

    def test_speakers_are_kept_apart_where_no_split_is_given(self, client: TestClient) -> None:
        speakers = dict.fromkeys(["ann", "bob", "cid", "dan", "eve"], "")
        made = upload(client, corpus_zip(speakers)).json()
        assert {name: part["speakers"] for name, part in made["partitions"].items()} == {
            "train": 3,
            "dev": 1,
            "test": 1,
        }

    def test_two_speakers_are_one_to_train_and_one_to_test(self, client: TestClient) -> None:
        made = upload(client, corpus_zip({"ann": "", "bob": ""})).json()
        assert list(made["partitions"]) == ["train", "test"]

    def test_a_known_corpus_needs_no_index(self, client: TestClient) -> None:
        names = [
            f"{speaker}a01{emotion}a.flac" for speaker in ("03", "08", "09") for emotion in "WN"
        ]
        files = {f"wav/{name}": flac(seed) for seed, name in enumerate(names)}
        made = upload(client, packed(files)).json()
        assert made["format"] == "emodb"
        assert made["classes"] == {"anger": 3, "neutral": 3}
        assert made["genders"] == {"f": 4, "m": 2}

    def test_what_is_not_used_is_named_with_the_reason(self, client: TestClient) -> None:
        more = {"notes.txt": b"x", "extra.wav": wav(9), "more.zip": packed({"a.wav": wav()})}
        made = upload(client, corpus_zip(None, **more)).json()
        assert {one["path"]: one["reason"] for one in made["skipped"]} == {
            "notes.txt": "neither WAV, FLAC nor AIFF",
            "more.zip": "an archive inside the archive is not opened",
            "extra.wav": "not listed in index.csv",
        }

    def test_a_clip_that_cannot_be_read_is_left_out_and_the_others_keep_their_audio(
        self, client: TestClient, app: FastAPI, session: Session
    ) -> None:
        listed = rows({"ann": "train", "bob": "test"})
        clips = {path: wav(seed) for seed, (path, *_) in enumerate(listed)}
        silent, last = listed[1][0], listed[-1][0]
        clips[silent] = wav().replace(wav()[44:], bytes(len(wav()) - 44))
        # bob alone has both emotions; ann's neutral clip is silent
        made = upload(client, packed({"index.csv": index(listed), **clips})).json()
        assert made["clips"] == 3
        assert [one["path"] for one in made["skipped"]] == [silent]
        assert "silent" in made["skipped"][0]["reason"]
        corpus = service.get(session, made["id"], owner="local")
        chosen = service.selection(state(app).storage, corpus, "all", ["anger", "neutral"])
        assert [clip.path for clip in chosen.clips] == [p for p, *_ in listed if p != silent]
        assert chosen.recordings[-1].read_bytes() == clips[last]
        assert len(list(chosen.recordings[0].parent.iterdir())) == 3

    def test_skipped_files_are_counted_by_reason_and_come_in_pages(
        self, client: TestClient
    ) -> None:
        more = {f"{number:03}.txt": b"" for number in range(130)} | {"extra.wav": wav(9)}
        made = upload(client, corpus_zip(None, **more)).json()
        assert len(made["skipped"]) == 100
        assert made["skipped_counts"] == {"not_audio": 130, "not_listed": 1}
        seen: list[str] = []
        while True:
            query = {"after": len(seen), "limit": 60}
            page = client.get(f"/v1/corpora/{made['id']}/skipped", params=query).json()
            seen += [one["path"] for one in page["data"]]
            if not page["has_more"]:
                break
        assert sorted(seen) == sorted(more)

    def test_the_skipped_files_of_another_are_404(
        self, client: TestClient, make_key: MakeKey
    ) -> None:
        ours, theirs = make_key("train"), make_key("audit")
        made = upload(client, corpus_zip(), headers=ours.headers).json()
        path = f"/v1/corpora/{made['id']}/skipped"
        assert client.get(path, headers=ours.headers).json()["data"] == []
        problem(client.get(path, headers=theirs.headers), 404, "not_found")

    def test_of_two_recordings_of_a_clip_the_better_is_kept_and_both_are_named(
        self, client: TestClient, app: FastAPI, session: Session
    ) -> None:
        long = wav(1, seconds=0.4)
        files = {
            "a/03a01Wa.wav": wav(1),
            "b/03a01Wa.wav": long,
            "a/03a01Na.wav": wav(2),
            "b/03a01Na.wav": wav(2),
            "08a01Wa.wav": wav(3),
            "08a01Na.wav": wav(4),
        }
        made = upload(client, packed(files)).json()
        assert made["clips"] == 4
        assert made["skipped_counts"] == {"copy": 1, "lesser_recording": 1}
        told = {one["path"]: one["reason"] for one in made["skipped"]}
        assert "b/03a01Wa.wav" in told["a/03a01Wa.wav"]
        assert "shorter" in told["a/03a01Wa.wav"]
        assert "the same bytes" in told["b/03a01Na.wav"]
        corpus = service.get(session, made["id"], owner="local")
        chosen = service.selection(state(app).storage, corpus, "all", ["anger", "neutral"])
        kept = dict(zip((clip.path for clip in chosen.clips), chosen.recordings, strict=True))
        assert kept["b/03a01Wa.wav"].read_bytes() == long
        assert kept["08a01Na.wav"].read_bytes() == wav(4)
        assert len(list(chosen.recordings[0].parent.iterdir())) == 4

    def test_the_uploaded_form_is_described_in_openapi(self, client: TestClient) -> None:
        described = client.get("/openapi.json").json()["paths"]["/v1/corpora"]["post"]
        form = described["requestBody"]["content"]["multipart/form-data"]["schema"]
        assert set(form["properties"]) == {"file", "request"}
        assert {"201", "413", "422", "503"} <= set(described["responses"])

    def test_a_request_as_a_browser_appends_a_blob_is_taken(self, client: TestClient) -> None:
        request = ("blob", b'{"name": "x"}', "application/json")
        archive = ("a.zip", corpus_zip(), "application/zip")
        answer = client.post("/v1/corpora", files={"file": archive, "request": request})
        assert answer.status_code == 201, answer.text
        assert answer.json()["name"] == "x"


class TestWhatIsRefused:
    """Each is a clear problem, leaves nothing behind, and the next good upload works."""

    @pytest.fixture(autouse=True)
    def _nothing_is_left_and_the_next_works(self, client: TestClient, settings: Settings) -> Any:
        yield
        assert left(settings) == []
        assert upload(client, corpus_zip()).status_code == 201

    @pytest.mark.parametrize(
        ("data", "code", "told"),
        [
            (b"", "not_a_zip", "plain zip"),
            (b"just text", "not_a_zip", "plain zip"),
            (corpus_zip()[:-30], "not_a_zip", "plain zip"),
            (packed({}), "unknown_format", "index.csv"),
            (packed({"a.wav": wav()}), "unknown_format", "a.wav"),
            (packed({"index.csv": b"path,speaker\n"}), "index_columns", "emotion"),
            (packed({"index.csv": b"\xff\xfe\0"}), "index_not_text", "UTF-8"),
            (packed({"index.csv": index([("../a.wav", "s", "x", "")])}), "index_lines", "../a.wav"),
            (packed({"index.csv": index([("/a.wav", "s", "x", "")])}), "index_lines", "/a.wav"),
            (packed({"../a.wav": wav(), "index.csv": b""}), "unsafe_path", "../a.wav"),
            (packed({"/a.wav": wav()}), "unsafe_path", "/a.wav"),
        ],
    )
    def test_what_is_no_corpus(self, client: TestClient, data: bytes, code: str, told: str) -> None:
        assert told in problem(upload(client, data), 422, code)["detail"]

    def test_one_class(self, client: TestClient) -> None:
        listed = [("a.wav", "ann", "anger", ""), ("b.wav", "bob", "anger", "")]
        data = packed({"index.csv": index(listed), "a.wav": wav(1), "b.wav": wav(2)})
        assert "anger" in problem(upload(client, data), 422, "one_class")["detail"]

    def test_one_speaker(self, client: TestClient) -> None:
        data = corpus_zip({"ann": ""})
        assert "'ann'" in problem(upload(client, data), 422, "one_speaker")["detail"]

    def test_speakers_in_two_splits_are_named(self, client: TestClient) -> None:
        listed = rows({"ann": "train", "bob": "train"})
        listed[1] = (*listed[1][:3], "test")
        clips = {path: wav() for path, *_ in listed}
        body = problem(
            upload(client, packed({"index.csv": index(listed), **clips})), 422, "speakers_overlap"
        )
        assert "ann (train and test)" in body["detail"]
        assert [error["value"] for error in body["errors"]] == ["ann"]

    def test_a_split_for_some_clips_only(self, client: TestClient) -> None:
        body = problem(
            upload(client, corpus_zip({"ann": "train", "bob": ""})), 422, "split_incomplete"
        )
        assert "2 of 4" in body["detail"]

    def test_a_file_that_the_index_lists_and_the_archive_lacks(self, client: TestClient) -> None:
        listed = rows({"ann": "train", "bob": "test"})
        clips = {path: wav() for path, *_ in listed[1:]}
        body = problem(
            upload(client, packed({"index.csv": index(listed), **clips})), 422, "file_missing"
        )
        assert "ann/anger.wav: not in the archive" in body["detail"]

    def test_a_file_whose_name_differs_in_case_is_named_with_it(self, client: TestClient) -> None:
        listed = rows({"ann": "train", "bob": "test"})
        clips = {path.replace(".wav", ".WAV"): wav() for path, *_ in listed}
        body = problem(
            upload(client, packed({"index.csv": index(listed), **clips})), 422, "file_missing"
        )
        told = "ann/anger.wav: the archive has ann/anger.WAV, which differs in case"
        assert told in body["detail"]

    def test_clips_none_of_which_can_be_read(self, client: TestClient) -> None:
        listed = rows({"ann": "train", "bob": "test"})
        clips = {path: b"this is text" for path, *_ in listed}
        body = problem(
            upload(client, packed({"index.csv": index(listed), **clips})), 422, "no_clips"
        )
        assert "ann/anger.wav: This is text; WAV, FLAC and AIFF are read." in body["detail"]

    def test_a_bomb(self, client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("app.corpora.archive.RATIO_COUNTS_FROM", 1024 * 1024)
        listed = rows({"ann": "train", "bob": "test"})
        clips = {path: bytes(1024 * 1024) for path, *_ in listed}
        bomb = packed({"index.csv": index(listed), **clips})
        assert len(bomb) < 10_000
        problem(upload(client, bomb), 422, "zip_bomb")

    @pytest.mark.filterwarnings("ignore:Duplicate name")
    def test_two_files_of_one_name(self, client: TestClient) -> None:
        buffer = io.BytesIO(corpus_zip())
        with zipfile.ZipFile(buffer, "a") as archive:
            archive.writestr("ann/anger.wav", wav(5))
        problem(upload(client, buffer.getvalue()), 422, "duplicate_entry")

    def test_an_unknown_format(self, client: TestClient) -> None:
        body = problem(upload(client, corpus_zip(), format="mp3"), 422, "invalid")
        assert body["errors"][0]["field"] == "format"

    def test_an_unknown_field(self, client: TestClient) -> None:
        body = problem(upload(client, corpus_zip(), nmae="x"), 422, "invalid")
        assert body["errors"][0]["field"] == "nmae"

    def test_a_form_without_a_file(self, client: TestClient) -> None:
        answer = client.post(
            "/v1/corpora", files={"request": (None, json.dumps({"name": "x"}).encode())}
        )
        assert "-F file=@PATH" in problem(answer, 422, "file_missing")["detail"]

    def test_a_form_without_a_request(self, client: TestClient) -> None:
        answer = client.post("/v1/corpora", files={"file": ("a.zip", corpus_zip())})
        problem(answer, 422, "request_missing")

    def test_two_archives(self, client: TestClient) -> None:
        files = [("file", ("a.zip", corpus_zip())), ("file", ("b.zip", corpus_zip()))]
        answer = client.post("/v1/corpora", files=files, data={"request": '{"name": "x"}'})
        problem(answer, 422, "part_repeated")

    def test_a_request_that_is_not_json(self, client: TestClient) -> None:
        answer = client.post(
            "/v1/corpora", files={"file": ("a.zip", corpus_zip())}, data={"request": "{name"}
        )
        assert "'request'" in problem(answer, 400, "malformed_json")["detail"]

    def test_a_part_that_nobody_reads(self, client: TestClient) -> None:
        answer = client.post(
            "/v1/corpora", files={"file": ("a.zip", corpus_zip())}, data={"name": "x"}
        )
        problem(answer, 422, "unknown_field")

    def test_json_instead_of_a_form(self, client: TestClient) -> None:
        problem(client.post("/v1/corpora", json={"name": "x"}), 415, "unsupported_media_type")


class TestLimits:
    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        return settings.model_copy(update={"max_corpus_bytes": 20_000, "max_corpus_clips": 7})

    def test_a_body_over_the_limit_is_413(self, client: TestClient, settings: Settings) -> None:
        data = packed({"a.wav": bytes(range(256)) * 100}) + bytes(20_000)
        assert "20000" in problem(upload(client, data), 413, "too_large")["detail"]
        assert left(settings) == []

    def test_a_chunked_body_over_the_limit_is_413_too(
        self, client: TestClient, settings: Settings
    ) -> None:
        head = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
        answer = client.post(
            "/v1/corpora",
            content=iter([head, *[bytes(1000)] * 30]),
            headers={"content-type": "multipart/form-data; boundary=x"},
        )
        problem(answer, 413, "too_large")
        assert left(settings) == []

    def test_too_many_clips_are_refused(self, client: TestClient) -> None:
        listed = rows(dict.fromkeys("abcd", ""))
        clips = {path: b"RIFF" for path, *_ in listed}
        data = packed({"index.csv": index(listed), **clips})
        assert (
            "8 clips, more than 7" in problem(upload(client, data), 422, "too_many_clips")["detail"]
        )

    def test_features_that_outgrow_the_archive_end_the_import(
        self, client: TestClient, settings: Settings
    ) -> None:
        reconfigure(client.app, max_corpus_unpacked_bytes=13_000)
        listed = rows({"ann": "train", "bob": "test"})
        clips = {path: step(seconds=2) for path, *_ in listed}
        assert sum(map(len, clips.values())) < 10_000
        clips["index.csv"] = index(listed)
        body = problem(upload(client, packed(clips)), 422, "archive_too_large")
        assert "features" in body["detail"]
        assert left(settings) == []

    def test_imports_beyond_two_at_a_time_are_asked_to_come_again(self, client: TestClient) -> None:
        with endpoints.IMPORTS.one("key_a"), endpoints.IMPORTS.one("key_b"):
            answer = upload(client, corpus_zip())
        problem(answer, 503, "imports_busy")
        assert int(answer.headers["retry-after"]) >= 1


class TestAtomicity:
    def test_a_corpus_is_nowhere_to_be_seen_while_it_is_imported(
        self, client: TestClient, monkeypatch: pytest.MonkeyPatch, settings: Settings
    ) -> None:
        seen: list[Any] = []
        publish = state(client.app).storage.publish

        def look(staged: Path, final: Path) -> None:
            assert not final.exists()
            seen.append(client.get("/v1/corpora").json()["data"])
            publish(staged, final)

        monkeypatch.setattr(state(client.app).storage, "publish", look)
        assert upload(client, corpus_zip()).status_code == 201
        assert seen == [[]]

    def test_a_row_that_cannot_be_written_leaves_no_folder(
        self, app: FastAPI, settings: Settings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fails(_: Session) -> None:
            raise RuntimeError("the disk is full")

        with TestClient(
            app,
            base_url="http://127.0.0.1",
            client=("127.0.0.1", 50000),
            raise_server_exceptions=False,
        ) as client:
            monkeypatch.setattr(Session, "flush", fails)
            assert upload(client, corpus_zip()).status_code == 500
        assert left(settings) == []

    @pytest.mark.usefixtures("client")
    def test_a_row_that_may_have_been_committed_keeps_its_folder_for_the_collection(
        self,
        app: FastAPI,
        session: Session,
        settings: Settings,
        lose_the_answer: Callable[[Session], None],
    ) -> None:
        lose_the_answer(session)
        with pytest.raises(OperationalError):
            service.create(
                session,
                state(app).storage,
                settings,
                io.BytesIO(corpus_zip()),
                CorpusRequest(name="small"),
                owner="local",
                watch=lambda _done, _total: None,
            )
        (corpus_id,) = left(settings)
        folder = state(app).storage.corpus_dir(corpus_id)
        assert (folder / orphans.MARK).exists()
        assert collect(app) == 0
        assert not (folder / orphans.MARK).exists()
        with state(app).sessions() as other:
            row = service.get(other, corpus_id, owner="local")
        assert len(service.selection(state(app).storage, row, "all", ["anger"]).clips) == 4

    def test_what_a_crash_left_is_gone_after_the_next_start(
        self, app: FastAPI, settings: Settings, client: TestClient
    ) -> None:
        made = upload(client, corpus_zip()).json()
        storage = state(app).storage
        orphan = storage.corpus_dir(new_id("corpus"))
        orphan.mkdir()
        orphans.mark(orphan)
        assert collect(app, older_than=3600) == 0  # it may be just being published
        assert collect(app) == 1
        assert left(settings) == [made["id"]]

    def test_one_whose_row_was_committed_before_the_crash_stays(
        self, app: FastAPI, settings: Settings, client: TestClient
    ) -> None:
        made = upload(client, corpus_zip()).json()
        orphans.mark(state(app).storage.corpus_dir(made["id"]))
        assert collect(app) == 0
        assert left(settings) == [made["id"]]

    def test_the_corpora_of_another_database_are_never_taken_for_orphans(
        self, app: FastAPI, settings: Settings, client: TestClient, session: Session
    ) -> None:
        made = upload(client, corpus_zip()).json()
        session.execute(delete(Corpus))
        session.commit()
        assert collect(app) == 0
        assert left(settings) == [made["id"]]

    def test_what_a_crash_left_of_a_removal_is_gone_after_the_next_start(
        self,
        app: FastAPI,
        settings: Settings,
        client: TestClient,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        made = upload(client, corpus_zip()).json()
        storage = state(app).storage
        monkeypatch.setattr(storage, "remove", lambda _: None)
        client.delete(f"/v1/corpora/{made['id']}")
        monkeypatch.undo()
        assert left(settings) == [made["id"]]
        assert collect(app) == 1
        assert left(settings) == []

    def test_a_staging_folder_is_cleared_away_only_if_nobody_builds_in_it(
        self, app: FastAPI, settings: Settings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("app.persistence.storage.UNLOCKED_SECONDS", -1)
        storage = state(app).storage
        storage.prepare()
        abandoned = settings.data_dir / "staging" / "abandoned"
        abandoned.mkdir()
        with storage.staging() as used:
            storage.prepare()
            assert used.exists()
        assert not abandoned.exists()

    def test_an_import_whose_request_is_gone_ends(self, client: TestClient) -> None:
        stopped = threading.Event()

        def gone(_done: int, _total: int) -> None:
            stopped.set()
            raise ClientGone

        parts = state(client.app)
        with parts.sessions() as session, pytest.raises(ClientGone):
            service.create(
                session,
                parts.storage,
                parts.settings,
                io.BytesIO(corpus_zip()),
                CorpusRequest(name="x"),
                owner="local",
                watch=gone,
            )
        assert stopped.is_set()
        assert left(parts.settings) == []

    def test_an_import_ends_while_it_unpacks_too(
        self, client: TestClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def extract(*_: object, **__: object) -> None:
            raise AssertionError("it went on to decode")

        def gone(_done: int, _total: int) -> None:
            raise ClientGone

        monkeypatch.setattr(importing, "extract", extract)
        parts = state(client.app)
        upload_ = io.BytesIO(corpus_zip())
        with pytest.raises(ClientGone):
            importing.import_archive(
                upload_,
                parts.storage.root,
                request=CorpusRequest(name="x"),
                settings=parts.settings,
                watch=gone,
            )

    def test_an_import_ends_when_the_client_goes_away(
        self, app: FastAPI, client: TestClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def endless(*_: object, watch: Watch, **__: object) -> None:
            for hundredth in range(1000):
                watch(hundredth, 1000)
                time.sleep(0.01)
            raise AssertionError("nobody said that the client went away")

        monkeypatch.setattr(service, "create", endless)
        request = client.build_request(
            "POST",
            "/v1/corpora",
            files={"file": ("a.zip", b"PK")},
            data={"request": '{"name": "x"}'},
        )
        request.read()
        sent: list[Message] = []
        messages: list[Message] = [
            {"type": "http.request", "body": request.content},
            {"type": "http.disconnect"},
        ]

        async def receive() -> Message:
            return messages.pop(0)

        async def send(message: Message) -> None:
            sent.append(message)

        scope: dict[str, Any] = {
            "type": "http",
            "method": "POST",
            "path": "/v1/corpora",
            "query_string": b"",
            "headers": [(k.lower(), v) for k, v in request.headers.raw],
            "client": ("127.0.0.1", 50000),
            "server": ("127.0.0.1", 80),
            "state": {},
        }
        assert client.portal is not None
        client.portal.call(app, scope, receive, send)
        assert sent[0]["status"] == 499
        with endpoints.IMPORTS.one("key_a"), endpoints.IMPORTS.one("key_b"):
            pass


class TestDelete:
    def test_a_deleted_corpus_is_gone_with_its_files(
        self, client: TestClient, settings: Settings
    ) -> None:
        made = upload(client, corpus_zip()).json()
        assert client.delete(f"/v1/corpora/{made['id']}").status_code == 204
        problem(client.get(f"/v1/corpora/{made['id']}"), 404, "not_found")
        problem(client.delete(f"/v1/corpora/{made['id']}"), 404, "not_found")
        assert left(settings) == []

    @pytest.mark.parametrize("status", list(JobStatus))
    def test_one_that_an_unfinished_job_uses_stays(
        self, client: TestClient, session: Session, status: JobStatus
    ) -> None:
        made = upload(client, corpus_zip()).json()
        wanted = Submission(kind=JobKind.AUDIT, owner="local", request={"corpus": made["id"]})
        job = record(session, wanted)
        job.status = status
        session.commit()
        answer = client.delete(f"/v1/corpora/{made['id']}")
        if status.terminal:
            assert answer.status_code == 204
        else:
            assert job.id in problem(answer, 409, "corpus_in_use")["detail"]
            assert client.get(f"/v1/corpora/{made['id']}").status_code == 200

    def test_a_job_that_is_accepted_in_the_same_moment_is_seen(
        self, app: FastAPI, client: TestClient
    ) -> None:
        made = upload(client, corpus_zip()).json()

        def accept(_connection: object, _cursor: object, statement: str, *_: object) -> None:
            if statement.startswith("DELETE FROM corpora"):
                with state(app).sessions() as other:
                    record(other, Submission(JobKind.AUDIT, "local", {"corpus": made["id"]}))

        event.listen(state(app).engine, "before_cursor_execute", accept)
        problem(client.delete(f"/v1/corpora/{made['id']}"), 409, "corpus_in_use")
        assert client.get(f"/v1/corpora/{made['id']}").status_code == 200
        assert not (state(app).storage.corpus_dir(made["id"]) / orphans.MARK).exists()

    @pytest.mark.parametrize(
        "id_", ["corpus_1", "..", "%2e%2e%2f", "model_01K9ZQ3W8M4V7T2X6B5N0C1DEF"]
    )
    def test_what_is_no_id_is_404(self, client: TestClient, id_: str) -> None:
        assert client.get(f"/v1/corpora/{id_}").status_code == 404
        assert client.delete(f"/v1/corpora/{id_}").status_code in {404, 405}


class TestSelection:
    @pytest.fixture
    def corpus(self, client: TestClient, session: Session) -> Corpus:
        made = upload(client, corpus_zip()).json()
        return service.get(session, made["id"], owner="local")

    def test_a_partition_in_the_order_of_the_corpus_with_features_and_recordings(
        self, app: FastAPI, corpus: Corpus
    ) -> None:
        chosen = service.selection(state(app).storage, corpus, "test", ["neutral", "anger"])
        assert [(clip.path, clip.emotion) for clip in chosen.clips] == [
            ("dan/anger.wav", "anger"),
            ("dan/neutral.wav", "neutral"),
        ]
        assert chosen.frames.clip(chosen.numbers[0]).shape == (11, 64)
        assert [path.read_bytes() for path in chosen.recordings] == [wav(6), wav(7)]
        assert chosen.left_out == {}

    def test_a_fold_takes_the_place_of_the_partition(self, app: FastAPI, corpus: Corpus) -> None:
        labels = ["neutral", "anger"]
        chosen = service.selection(state(app).storage, corpus, "test", labels, Fold(speaker="ann"))
        assert [clip.path for clip in chosen.clips] == ["ann/anger.wav", "ann/neutral.wav"]
        assert [path.read_bytes() for path in chosen.recordings] == [wav(0), wav(1)]

    def test_clips_of_other_emotions_are_left_out_and_counted(
        self, app: FastAPI, corpus: Corpus
    ) -> None:
        chosen = service.selection(state(app).storage, corpus, "all", ["anger", "joy"])
        assert len(chosen.clips) == 4
        assert chosen.left_out == {"neutral": 4}

    def test_an_unknown_partition_or_no_common_emotion_is_invalid(
        self, app: FastAPI, client: TestClient, session: Session
    ) -> None:
        made = upload(client, corpus_zip({"ann": "train", "bob": "test"})).json()
        corpus = service.get(session, made["id"], owner="local")
        with pytest.raises(Exception, match="dev"):
            service.selection(state(app).storage, corpus, "dev", ["anger"])
        with pytest.raises(Exception, match="anger, neutral"):
            service.selection(state(app).storage, corpus, "test", ["joy"])
