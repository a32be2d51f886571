"""Replay bundles: from an audit over HTTP to `serval replay`, which comes to the same counts."""

import hashlib
import json
import shutil
import sys
import zipfile
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy.orm import Session

from app.audits import files
from app.cli.main import main
from app.corpora.tables import Corpus
from app.jobs.states import JobKind
from app.replay.reading import verify_bundle
from models.checkpoint import CONFIG, WEIGHTS
from tests import spoken
from tests.workers.audits.audits import (
    CLIPS,
    FGSM,
    audited,
    claimed,
    done,
    findings,
    performed,
    request,
    submit,
)
from tests.workers.audits.bundles import Said, Serval, fetched, forged, unpacked
from tests.workers.audits.conftest import NO_PICTURES, Passes
from workers.audits import audit_job, shards
from workers.audits.scored import Scored
from workers.jobs import PERFORM, PERFORM_SHARD
from workers.runtime.context import WorkerContext
from workers.runtime.run import configure

PGD = {"type": "pgd", "epsilon": [0.4], "steps": 3, "restarts": 2}
NOISE = {"type": "noise", "epsilon": [0.4], "draws": 2}
WAVE = {"type": "pgd", "domain": "waveform", "snr_db": [30, 5], "steps": 2}
SMALLEST = {"type": "fgsm", "epsilon": [0.6], "minimum": True, "clip": 5}
GAIN = {"type": "gain", "db": [-20]}
ALL: dict[str, Any] = {"attacks": [FGSM, PGD, NOISE, WAVE, SMALLEST], "corruptions": [GAIN]}
ALWAYS = ["README.txt", "request.json", "materials.json", "rows.jsonl", "report.json"]
MODEL = ["models/00/config.json", "models/00/model.safetensors"]


@pytest.fixture
def serval(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Serval:
    """`serval("replay", path)`; no service runs and no setting is read."""
    monkeypatch.setenv("COLUMNS", "200")

    def serval(*arguments: object) -> Said:
        monkeypatch.setattr(sys, "argv", ["serval", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capsys.readouterr()
        return Said(int(ended.value.code or 0), out, err)

    return serval


@pytest.fixture
def audit(client: TestClient, model: str, corpus: Corpus) -> str:
    """The id of an audit that has succeeded."""
    return str(audited(client, request(model, corpus))["id"])


@pytest.fixture
def recordings(tmp_path: Path) -> Path:
    """The corpus as its owner has it: a zip archive."""
    path = tmp_path / "speech.zip"
    path.write_bytes(spoken.archive().getvalue())
    return path


class TestBundle:
    def test_has_all_but_recordings_unless_they_are_asked_for(
        self, client: TestClient, audit: str, corpus: Corpus, context: WorkerContext, tmp_path: Path
    ) -> None:
        bare = unpacked(fetched(client, audit, tmp_path))
        assert list(bare) == [*ALWAYS, *MODEL, "signature.json"]
        small = unpacked(fetched(client, audit, tmp_path, model="hash"))
        assert list(small) == [*ALWAYS, "signature.json"]
        whole = unpacked(fetched(client, audit, tmp_path, audio=True))
        clips = [f"clips/{index:06d}.wav" for index in range(CLIPS)]
        listed = files.read_artifacts(findings(context, audit))
        kept = [f"artifacts/{one.name}" for one in listed if files.is_audio(one.name)]
        assert any("adversarial-" in name for name in kept)
        assert list(whole) == [*ALWAYS, *MODEL, *clips, *kept, "signature.json"]
        sounds = [whole[name] for name in [*clips, *kept]]
        assert not any(sound[:200] in b"".join(bare.values()) for sound in sounds)

    def test_names_each_clip_and_model_by_its_sha256(
        self, client: TestClient, audit: str, model: str, tmp_path: Path
    ) -> None:
        found = unpacked(fetched(client, audit, tmp_path, audio=True))
        told = json.loads(found["materials.json"])
        rows = [json.loads(line) for line in found["rows.jsonl"].splitlines()]
        assert [(one["index"], one["clip"]) for one in told["clips"]] == [
            (row["index"], row["clip"]) for row in rows
        ]
        for one in told["clips"]:
            clip = found[f"clips/{one['index']:06d}.wav"]
            assert (one["bytes"], one["sha256"]) == (len(clip), hashlib.sha256(clip).hexdigest())
        (used,) = told["models"]
        assert (used["role"], used["id"]) == ("audited", model)
        for name, key in ((CONFIG, "config_sha256"), (WEIGHTS, "weights_sha256")):
            assert used[key] == hashlib.sha256(found[f"models/00/{name}"]).hexdigest()

    def test_is_the_same_for_the_same_question(
        self, client: TestClient, audit: str, tmp_path: Path
    ) -> None:
        url = f"/v1/audits/{audit}/bundle"
        first, again = client.get(url), client.get(url)
        assert first.content == again.content
        assert first.headers["etag"] == again.headers["etag"]
        assert int(first.headers["content-length"]) == len(first.content)
        assert first.headers["content-type"] == "application/zip"
        assert first.headers["content-disposition"] == f'attachment; filename="{audit}.zip"'
        head = client.head(url)
        assert (head.content, head.headers["content-length"]) == (
            b"",
            first.headers["content-length"],
        )
        known = client.get(url, headers={"If-None-Match": first.headers["etag"]})
        assert (known.status_code, known.content) == (304, b"")
        other = client.get(url, params={"model": "hash"})
        assert other.headers["etag"] != first.headers["etag"]

    def test_its_report_is_the_one_that_is_answered(
        self, client: TestClient, audit: str, tmp_path: Path
    ) -> None:
        report = client.get(f"/v1/audits/{audit}/report").content
        assert unpacked(fetched(client, audit, tmp_path))["report.json"] == report

    def test_an_unknown_question_is_422(self, client: TestClient, audit: str) -> None:
        for query in ("audio=maybe", "model=all", "sound=true"):
            assert client.get(f"/v1/audits/{audit}/bundle?{query}").status_code == 422


class TestWhatWent:
    def test_a_model_that_was_deleted_is_410_and_its_hash_is_not(
        self, client: TestClient, audit: str, model: str
    ) -> None:
        assert client.delete(f"/v1/models/{model}").status_code == 204
        answer = client.get(f"/v1/audits/{audit}/bundle")
        assert (answer.status_code, answer.json()["code"]) == (410, "model_gone")
        assert model in answer.json()["detail"]
        assert client.get(f"/v1/audits/{audit}/bundle?model=hash").status_code == 200

    def test_recordings_that_were_deleted_are_410_and_their_hashes_are_not(
        self, client: TestClient, audit: str, corpus: Corpus
    ) -> None:
        assert client.delete(f"/v1/corpora/{corpus.id}").status_code == 204
        answer = client.get(f"/v1/audits/{audit}/bundle?audio=true")
        assert (answer.status_code, answer.json()["code"]) == (410, "audio_gone")
        assert client.get(f"/v1/audits/{audit}/bundle").status_code == 200

    def test_files_that_are_others_now_are_410(
        self, client: TestClient, audit: str, model: str, corpus: Corpus, context: WorkerContext
    ) -> None:
        clip = next((context.storage.corpus_dir(corpus.id) / "audio").glob("000051.*"))
        clip.write_bytes(spoken.wav("joy", 99))
        answer = client.get(f"/v1/audits/{audit}/bundle?audio=true")
        assert (answer.status_code, answer.json()["code"]) == (410, "audio_gone")
        (context.storage.model_dir(model) / WEIGHTS).write_bytes(b"others")
        answer = client.get(f"/v1/audits/{audit}/bundle")
        assert (answer.status_code, answer.json()["code"]) == (410, "model_gone")

    def test_an_audit_from_before_there_were_bundles_is_409(
        self, client: TestClient, audit: str, context: WorkerContext
    ) -> None:
        (findings(context, audit) / files.MATERIALS).unlink()
        answer = client.get(f"/v1/audits/{audit}/bundle")
        assert (answer.status_code, answer.json()["code"]) == (409, "no_materials")


class TestReplay:
    def test_every_kind_of_attack_comes_to_the_same_counts(
        self, client: TestClient, model: str, corpus: Corpus, serval: Serval, tmp_path: Path
    ) -> None:
        job = audited(client, request(model, corpus, **ALL))
        said = serval("replay", fetched(client, job["id"], tmp_path, audio=True), "--json")
        assert said.status == 0, said.out + said.err
        told = json.loads(said.out)
        assert (told["same"], told["clips"], told["differences"]) == (True, CLIPS, [])
        assert told["largest_score_difference"] < 1e-5
        assert len(told["points"]) == len(job["result"]["curve"]) == 10
        for point, one in zip(job["result"]["curve"], told["points"], strict=True):
            assert one["then"] == one["now"]
            assert one["now"]["right_wrong"] == point["counts"]["right_wrong"]
        assert max(one["now"]["succeeded"] for one in told["points"]) > 0

    def test_it_says_so_in_words(
        self, client: TestClient, audit: str, serval: Serval, tmp_path: Path
    ) -> None:
        said = serval("replay", fetched(client, audit, tmp_path, audio=True))
        assert said.status == 0, said.out + said.err
        assert f"The same counts: {CLIPS} clips, clean and at 4 points" in said.out
        assert "Signed by key " in said.err

    def test_recordings_are_found_by_their_bytes_in_an_archive_and_in_a_folder(
        self, client: TestClient, audit: str, recordings: Path, serval: Serval, tmp_path: Path
    ) -> None:
        path = fetched(client, audit, tmp_path, model="hash")
        folder, model = tmp_path / "speech", tmp_path / "model"
        model.mkdir()
        for name, content in unpacked(fetched(client, audit, tmp_path)).items():
            if name in MODEL:
                (model / Path(name).name).write_bytes(content)
        path = fetched(client, audit, tmp_path, model="hash")
        said = serval("replay", path, "--corpus", recordings, "--model", model)
        assert said.status == 0, said.out + said.err
        with zipfile.ZipFile(recordings) as archive:
            for number, name in enumerate(archive.namelist()):
                (folder / str(number % 2)).mkdir(parents=True, exist_ok=True)
                (folder / str(number % 2) / f"{number}.bin").write_bytes(archive.read(name))
        said = serval("replay", path, "--corpus", folder, "--model", model)
        assert said.status == 0, said.out + said.err

    def test_uploaded_clips_with_and_without_labels(
        self, client: TestClient, model: str, serval: Serval, tmp_path: Path
    ) -> None:
        labels = ["anger", None, "sadness"]
        clips = [
            ("file", (f"{n}.wav", spoken.wav(one or "joy", n))) for n, one in enumerate(labels)
        ]
        body = {"model": model, "attacks": [FGSM], "labels": labels}
        answer = client.post("/v1/audits", files=clips, data={"request": json.dumps(body)})
        assert answer.status_code == 202, answer.text
        job = done(client, answer.json()["id"])
        said = serval("replay", fetched(client, job["id"], tmp_path, audio=True))
        assert said.status == 0, said.out + said.err
        assert "The same counts: 3 clips" in said.out

    def test_an_attack_from_another_model(
        self, client: TestClient, model: str, corpus: Corpus, context: WorkerContext,
        session: Session, serval: Serval, tmp_path: Path,
    ) -> None:  # fmt: skip
        other = spoken.add_model(session, context.storage, name="another", understated=2)
        transfer = {"type": "transfer", "from": other, "attack": PGD}
        job = audited(client, request(model, corpus, attacks=[transfer]))
        path = fetched(client, job["id"], tmp_path, audio=True)
        roles = [one["role"] for one in json.loads(unpacked(path)["materials.json"])["models"]]
        assert roles == ["audited", "source"]
        said = serval("replay", path)
        assert said.status == 0, said.out + said.err

    def test_one_that_was_scored_in_shards(
        self, client: TestClient, model: str, corpus: Corpus, context: WorkerContext,
        serval: Serval, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    ) -> None:  # fmt: skip
        merged, merge = list[Scored](), shards.merge

        def noted(*arguments: Any) -> Scored:
            merged.append(merge(*arguments))
            return merged[-1]

        monkeypatch.setattr(shards, "merge", noted)
        settings = context.settings.model_copy(update={"audit_shard_passes": 1})
        quick = partial(audit_job.perform, pictures=NO_PICTURES)
        configure(
            replace(context, settings=settings), {**PERFORM, JobKind.AUDIT: quick}, PERFORM_SHARD
        )
        job = audited(client, request(model, corpus))
        assert len(merged) == 1
        said = serval("replay", fetched(client, job["id"], tmp_path, audio=True))
        assert said.status == 0, said.out + said.err

    def test_one_that_had_not_the_time_for_everything(
        self, client: TestClient, model: str, corpus: Corpus, context: WorkerContext,
        passes: Passes, serval: Serval, tmp_path: Path,
    ) -> None:  # fmt: skip
        attacks = [{"type": "fgsm", "epsilon": [0.01, 0.02]}, PGD]
        job_id = submit(client, request(model, corpus, attacks=attacks, max_seconds=12))
        attempt = claimed(context, job_id)
        outcome = performed(context, attempt, clock=lambda: len(passes.batches))
        attempt.succeed(outcome.result)
        assert outcome.result["complete"] is False
        said = serval("replay", fetched(client, job_id, tmp_path, audio=True), "--json")
        assert said.status == 0, said.out + said.err
        clips = [one["now"]["clips"] for one in json.loads(said.out)["points"]]
        assert clips == [point["n"] for point in outcome.result["curve"]]
        assert 0 < clips[-1] <= clips[0] < CLIPS


class TestDifferences:
    """Bundles that are signed, by somebody, and do not say what comes out."""

    def test_a_clip_that_comes_out_otherwise_is_named_with_its_attack_and_strength(
        self, client: TestClient, audit: str, serval: Serval, tmp_path: Path
    ) -> None:
        path = fetched(client, audit, tmp_path, audio=True)
        rows = [json.loads(line) for line in unpacked(path)["rows.jsonl"].splitlines()]
        attacked = rows[4]["attacked"][3]
        was = attacked["label"]
        attacked["label"] = next(one for one in spoken.EMOTIONS if one != was)
        lines = b"".join(json.dumps(row).encode() + b"\n" for row in rows)
        said = serval("replay", forged(path, {"rows.jsonl": lines}), "--json")
        assert said.status == 1, said.err
        told = json.loads(said.out)
        assert told["same"] is False
        assert told["differences"] == [
            {
                "index": 4,
                "clip": rows[4]["clip"],
                "at": "FGSM, 0.6 sigma",
                "what": "label",
                "then": attacked["label"],
                "now": was,
            }
        ]
        said = serval("replay", forged(path, {"rows.jsonl": lines}))
        assert said.status == 1
        assert f"It differs: 1 of {CLIPS} clips" in said.out
        assert "FGSM, 0.6 sigma" in said.out

    def test_each_thing_that_may_differ_is_told_by_its_name(
        self, client: TestClient, model: str, corpus: Corpus, serval: Serval, tmp_path: Path
    ) -> None:
        job = audited(client, request(model, corpus, attacks=[FGSM, SMALLEST]))
        path = fetched(client, job["id"], tmp_path, audio=True)
        rows = [json.loads(line) for line in unpacked(path)["rows.jsonl"].splitlines()]
        broken = [row for row in rows if row["attacked"][3]["success"]]
        played = next(row for row in broken if row["attacked"][3]["audio"])
        others = [row for row in broken if row is not played]
        others[0]["attacked"][3]["success"] = False
        others[1]["attacked"][3]["no_direction"] = True
        others[2]["minimum"][0]["strength"] *= 0.9
        others[3]["clean"]["label"] = others[3]["attacked"][3]["label"]
        played["attacked"][3]["audio"]["label"] = "nothing"
        lines = b"".join(json.dumps(row).encode() + b"\n" for row in rows)
        said = serval("replay", forged(path, {"rows.jsonl": lines}), "--json")
        assert said.status == 1, said.err
        told = {(one["index"], one["what"]) for one in json.loads(said.out)["differences"]}
        assert told == {
            (others[0]["index"], "success"),
            (others[1]["index"], "no_direction"),
            (others[2]["index"], "smallest"),
            (others[3]["index"], "label"),
            (played["index"], "played"),
        }

    def test_a_report_whose_counts_are_not_those_of_its_rows_is_told(
        self, client: TestClient, audit: str, serval: Serval, tmp_path: Path
    ) -> None:
        path = fetched(client, audit, tmp_path, audio=True)
        report = json.loads(unpacked(path)["report.json"])
        counts = report["result"]["curve"][3]["counts"]
        assert counts["right_wrong"] > 0
        counts |= {"right_wrong": 0, "right_right": CLIPS}
        content = json.dumps(report).encode()
        said = serval("replay", forged(path, {"report.json": content}))
        assert said.status == 1, said.err
        assert "The report's counts at FGSM, 0.6 sigma are not those of its own rows." in said.out

    def test_versions_that_differ_are_told_and_are_no_difference(
        self, client: TestClient, audit: str, serval: Serval, tmp_path: Path
    ) -> None:
        path = fetched(client, audit, tmp_path, audio=True)
        report = json.loads(unpacked(path)["report.json"])
        report["environment"] |= {"device": "a GPU", "torch": "2.0.0"}
        said = serval("replay", forged(path, {"report.json": json.dumps(report).encode()}))
        assert said.status == 0, said.out
        assert "device: a GPU then, cpu now" in said.out
        assert "torch: 2.0.0 then" in said.out


class TestUnusable:
    def test_a_changed_byte_of_every_part_is_named(
        self, client: TestClient, audit: str, serval: Serval, tmp_path: Path
    ) -> None:
        path = fetched(client, audit, tmp_path, audio=True)
        content = path.read_bytes()
        assert verify_bundle(path).faults == ()
        names = list(unpacked(path))
        with zipfile.ZipFile(path) as archive:
            ends = {one.filename: one.header_offset + 30 + len(one.filename) + one.file_size // 2
                    for one in archive.infolist()}  # fmt: skip
        assert list(ends) == names
        for name, at in ends.items():
            path.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
            faults = verify_bundle(path).faults
            wanted = {"signature", name} if name == "signature.json" else {name}
            assert faults, name
            assert {one.part for one in faults} <= wanted
        said = serval("replay", path)
        assert said.status == 2
        at = ends["rows.jsonl"]
        path.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
        said = serval("replay", path)
        assert said.status == 2
        assert "rows.jsonl has other bytes than were signed" in said.err
        said = serval("verify", path)
        assert said.status == 1
        assert "CHANGED  rows.jsonl: has other bytes than were signed" in said.out

    def test_missing_recordings_and_models_are_named_with_the_remedy(
        self, client: TestClient, audit: str, recordings: Path, serval: Serval, tmp_path: Path
    ) -> None:
        bare = fetched(client, audit, tmp_path)
        said = serval("replay", bare)
        assert (said.status, said.out) == (2, "")
        assert "Give the recordings: --corpus FOLDER" in said.err
        with zipfile.ZipFile(recordings) as archive:
            folder = tmp_path / "some"
            archive.extractall(folder)
        (folder / "eve" / "anger-0.wav").unlink()
        said = serval("replay", bare, "--corpus", folder)
        assert said.status == 2
        assert f"lacks 1 of the {CLIPS} clips" in said.err
        assert "eve/anger-0.wav" in said.err
        small = fetched(client, audit, tmp_path, model="hash")
        said = serval("replay", small, "--corpus", recordings)
        assert said.status == 2
        assert "--model FOLDER" in said.err

    @pytest.mark.parametrize(
        ("part", "change", "told"),
        [
            ("rows.jsonl", b"", "has no row"),
            ("rows.jsonl", b"{}\n", "rows.jsonl cannot be read"),
            ("rows.jsonl", b'{"index":' + b"[" * 100_000, "rows.jsonl cannot be read"),
            ("rows.jsonl", None, "rows.jsonl is missing"),
            ("report.json", b"{}", "report.json cannot be read"),
            ("request.json", b"{}", "is not the request of"),
            ("materials.json", b'{"format":"serval-materials-2"}', "materials.json cannot be read"),
            ("materials.json", b'{"format":', "materials.json cannot be read"),
            (MODEL[0], b"{}", "is not that of materials.json"),
            (MODEL[1], b"\x80\x04.", "is not that of materials.json"),
            ("clips/000000.wav", None, "not their sound"),
        ],
    )
    def test_a_part_that_does_not_fit_is_named(
        self, client: TestClient, audit: str, serval: Serval, tmp_path: Path,
        part: str, change: bytes | None, told: str,
    ) -> None:  # fmt: skip
        path = forged(fetched(client, audit, tmp_path, audio=True), {part: change})
        said = serval("replay", path)
        assert (said.status, said.out) == (2, ""), said.err
        assert told in said.err

    def test_an_audit_of_log_mels_alone_is_told(
        self, client: TestClient, audit: str, serval: Serval, tmp_path: Path
    ) -> None:
        path = fetched(client, audit, tmp_path)
        told = json.loads(unpacked(path)["materials.json"])
        told["clips"] = [one | {"bytes": None, "sha256": None} for one in told["clips"]]
        said = serval("replay", forged(path, {"materials.json": json.dumps(told).encode()}))
        assert said.status == 2
        assert "log-mels, without recordings" in said.err

    def test_nothing_in_a_bundle_steers_a_terminal(
        self, client: TestClient, audit: str, serval: Serval, tmp_path: Path
    ) -> None:
        path = fetched(client, audit, tmp_path, audio=True)
        rows = [json.loads(line) for line in unpacked(path)["rows.jsonl"].splitlines()]
        rows[0]["clip"] = "\x1b]0;owned\x07\x9b2J\u202e.wav"
        rows[0]["attacked"][3]["no_direction"] = True
        lines = b"".join(json.dumps(row).encode() + b"\n" for row in rows)
        said = serval("replay", forged(path, {"rows.jsonl": lines}))
        assert said.status == 1
        assert r"\x1b]0;owned\x07\x9b2J\u202e.wav" in said.out
        assert all(letter.isprintable() or letter == "\n" for letter in said.out + said.err)

    def test_a_model_that_is_none_is_refused_and_never_unpickled(
        self, client: TestClient, audit: str, serval: Serval, tmp_path: Path
    ) -> None:
        path = fetched(client, audit, tmp_path, audio=True)
        found = unpacked(path)
        pickled = b"\x80\x04\x95\x1d\x00\x00\x00\x00\x00\x00\x00\x8c\x05posix\x94\x8c\x06system"
        sha256 = hashlib.sha256(pickled).hexdigest()
        told, report = json.loads(found["materials.json"]), json.loads(found["report.json"])
        told["models"][0]["weights_sha256"] = report["model"]["sha256"] = sha256
        changes = {
            "materials.json": json.dumps(told).encode(),
            "report.json": json.dumps(report).encode(),
            MODEL[1]: pickled,
        }
        said = serval("replay", forged(path, changes))
        assert said.status == 2
        assert "not a safetensors file" in said.err

    def test_an_end_by_hand_is_neither_the_same_nor_a_difference(
        self, client: TestClient, audit: str, passes: Passes, serval: Serval, tmp_path: Path
    ) -> None:
        def interrupt(_: int) -> None:
            raise KeyboardInterrupt

        path = fetched(client, audit, tmp_path, audio=True)
        passes.before = interrupt
        assert serval("replay", path).status == 130

    def test_a_lack_of_memory_is_no_difference(
        self, client: TestClient, audit: str, passes: Passes, serval: Serval, tmp_path: Path
    ) -> None:
        path = fetched(client, audit, tmp_path, audio=True)
        passes.most = 1
        said = serval("replay", path)
        assert said.status == 2
        assert "The audit cannot be run" in said.err

    def test_a_report_of_another_audit_is_told(
        self, client: TestClient, audit: str, serval: Serval, tmp_path: Path
    ) -> None:
        path = fetched(client, audit, tmp_path)
        report = json.loads(unpacked(path)["report.json"]) | {"audit": "audit_0"}
        said = serval("replay", forged(path, {"report.json": json.dumps(report).encode()}))
        assert said.status == 2
        assert "is of another audit" in said.err

    def test_what_is_no_bundle_is_refused(self, serval: Serval, tmp_path: Path) -> None:
        for content in (b"", b"text", b"PK\3\4" + b"\0" * 100):
            (tmp_path / "file").write_bytes(content)
            said = serval("replay", tmp_path / "file")
            assert said.status == 2
            assert "zip directory" in said.err
        said = serval("replay", tmp_path / "none")
        assert said.status == 2
        assert "cannot be read: No such file" in said.err


class TestVerify:
    def test_a_report_and_a_bundle_say_who_signed_them(
        self, client: TestClient, audit: str, serval: Serval, tmp_path: Path
    ) -> None:
        key = client.get("/v1/signing-key").json()["current"]
        (tmp_path / "key.pem").write_text(key["pem"])
        report, beside = tmp_path / "report.json", tmp_path / "report.json.sig"
        report.write_bytes(client.get(f"/v1/audits/{audit}/report").content)
        beside.write_bytes(client.get(f"/v1/audits/{audit}/report/signature").content)
        bundle = fetched(client, audit, tmp_path)
        for file in (report, bundle):
            said = serval("verify", file)
            assert said.status == 0, said.out + said.err
            assert f"Signed by key {key['fingerprint']}, which you must know" in said.out
            for known in (key["fingerprint"], tmp_path / "key.pem"):
                said = serval("verify", file, "--key", known)
                assert said.status == 0
                assert "one of those that you named" in said.out
            said = serval("verify", file, "--key", "0" * 64)
            assert said.status == 1
            assert f"NOT TRUSTED: signed by key {key['fingerprint']}" in said.out
            told = json.loads(serval("verify", file, "--key", "0" * 64, "--json").out)
            assert (told["unchanged"], told["key_known"]) == (True, False)
        said = serval("replay", bundle, "--key", "0" * 64)
        assert said.status == 2
        assert "none of those that you named" in said.err
        shutil.move(beside, tmp_path / "elsewhere")
        assert serval("verify", report, "--signature", tmp_path / "elsewhere").status == 0
        said = serval("verify", report)
        assert said.status == 2
        assert "report.json.sig cannot be read" in said.err

    def test_a_changed_report_names_the_part(
        self, client: TestClient, audit: str, serval: Serval, tmp_path: Path
    ) -> None:
        report = tmp_path / "renamed"
        content = client.get(f"/v1/audits/{audit}/report").content
        document = client.get(f"/v1/audits/{audit}/report/signature").content
        (tmp_path / "renamed.sig").write_bytes(document)
        report.write_bytes(content[:-2] + b" }")
        said = serval("verify", report)
        assert said.status == 1
        assert "CHANGED  report.json: has" in said.out
        report.write_bytes(content)
        (tmp_path / "renamed.sig").write_bytes(document.replace(b"a", b"b", 1))
        said = serval("verify", report)
        assert said.status == 1
        assert "CHANGED  signature: " in said.out

    @pytest.mark.parametrize("key", ["8f3a", "none.pem", __file__])
    def test_a_key_that_is_none_is_refused(self, serval: Serval, tmp_path: Path, key: str) -> None:
        (tmp_path / "report.json").write_text("{}")
        said = serval("verify", tmp_path / "report.json", "--key", key)
        assert said.status == 2
        assert "give the file of an Ed25519 public key in PEM" in said.err

    def test_a_signature_beside_a_bundle_is_refused(self, serval: Serval, tmp_path: Path) -> None:
        (tmp_path / "a.zip").write_bytes(b"PK\3\4")
        said = serval("verify", tmp_path / "a.zip", "--signature", tmp_path / "a.sig")
        assert said.status == 2
        assert "leave --signature out" in said.err
