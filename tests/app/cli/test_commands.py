"""`serval` against a running service: what it sends, shows, and how it ends."""

import csv
import io
import json
import signal
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import typer
from rich.console import Console
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.cli import following
from app.cli.api import Api, Unreachable
from app.jobs.service import Submission
from app.jobs.states import JobKind, JobStatus
from app.jobs.tables import Job
from models.architectures import ARCHITECTURES
from models.attacks import ATTACKS
from models.corpus import ADAPTERS
from models.corruptions import CORRUPTIONS
from models.defenses import DEFENSES
from models.presets import PRESETS
from models.training_presets import TRAINING_PRESETS
from tests.app.cli.conftest import Serval
from tests.app.corpora.zips import corpus_zip
from tests.app.predictions.clips import noise, wav
from tests.conftest import MakeKey
from tests.models.pages import added
from tests.recorded import record
from workers.runtime.context import WorkerContext


class TestTheCommandLine:
    def test_the_help_names_every_command(self, serval: Serval) -> None:
        said = serval("--help").out
        service = ("up", "serve", "worker", "keys", "purge", "deletions")
        clients = ("predict", "audit", "report", "artifacts", "train", "corpus", "jobs", "models",
                   "reproduce", "study")  # fmt: skip
        for command in (*service, *clients):
            assert f" {command} " in said

    def test_the_version_is_shown(self, serval: Serval) -> None:
        assert serval("--version").out.startswith("serval 0.")

    def test_a_service_that_does_not_answer_is_named_with_the_remedy(self, serval: Serval) -> None:
        said = serval("corpus", "list", "--url", "http://127.0.0.1:1")
        assert said.status == 1
        assert "No Serval answers at http://127.0.0.1:1" in said.err
        assert "serval up" in said.err

    def test_an_address_that_is_none_is_refused(self, serval: Serval) -> None:
        said = serval("corpus", "list", "--url", "localhost:80:80")
        assert said.status == 1
        assert said.err

    def test_a_setting_that_does_not_hold_is_named(
        self, serval: Serval, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("SERVAL_PREDICT_BATCH", "-3")
        said = serval("serve")
        assert said.status == 1
        assert "SERVAL_PREDICT_BATCH" in said.err
        assert "-3" in said.err


class TestPredict:
    def test_the_emotions_of_each_clip_are_shown(
        self, serval: Serval, url: str, clip: Path
    ) -> None:
        said = serval("predict", clip, clip, "--model", "tiny-a")
        assert said.status == 0, said.err
        assert said.out.count("calm") == 2
        assert "tiny-a" in said.out
        assert "0.20 s" in said.out

    def test_json_holds_the_answers(self, serval: Serval, url: str, clip: Path) -> None:
        (found,) = json.loads(serval("predict", clip, "--model", "tiny-a", "--json").out)
        assert found["object"] == "prediction"
        assert found["file"] == str(clip)
        assert sum(one["score"] for one in found["scores"]) == pytest.approx(1)

    def test_a_problem_is_shown_with_its_detail_and_ends_with_1(
        self, serval: Serval, url: str, clip: Path
    ) -> None:
        said = serval("predict", clip, "--model", "nobody")
        assert said.status == 1
        assert said.err.startswith("Not found: ")
        assert "nobody" in said.err
        assert said.out == ""

    def test_a_clip_that_is_no_wav_is_refused_with_the_reason(
        self, serval: Serval, url: str, tmp_path: Path
    ) -> None:
        (tmp_path / "text.wav").write_text("this is text")
        said = serval("predict", tmp_path / "text.wav", "--model", "tiny-a")
        assert said.status == 1
        assert "This is text; WAV, FLAC and AIFF are read" in said.err

    @pytest.mark.parametrize("json_", [(), ("--json",)])
    def test_what_came_before_a_clip_that_is_refused_is_shown(
        self, serval: Serval, url: str, clip: Path, tmp_path: Path, json_: tuple[str, ...]
    ) -> None:
        (tmp_path / "text.wav").write_text("this is text")
        said = serval("predict", clip, tmp_path / "text.wav", "--model", "tiny-a", *json_)
        assert said.status == 1
        assert said.out.count(str(clip)) == 1
        assert "This is text; WAV, FLAC and AIFF are read" in said.err

    def test_a_file_that_is_not_there_is_named(self, serval: Serval, url: str) -> None:
        said = serval("predict", "nothing.wav")
        assert said.status == 1
        assert "nothing.wav cannot be read" in said.err

    def test_a_bad_recording_is_named_and_those_behind_it_are_predicted(
        self, serval: Serval, url: str, clip: Path, tmp_path: Path
    ) -> None:
        (tmp_path / "text.wav").write_text("this is text")
        files = ("nothing.wav", tmp_path / "text.wav", clip)
        said = serval("predict", *files, "--model", "tiny-a", "--jsonl")
        missing, text, good = map(json.loads, said.out.splitlines())
        assert said.status == 1
        assert (missing["file"], missing["error"]["code"]) == ("nothing.wav", "unreadable")
        assert text["error"]["code"] == "not_audio"
        assert good["label"]
        assert f"{tmp_path / 'text.wav'}: " in said.err
        assert "2 of 3 recordings have no prediction." in said.err

    def test_folders_stand_for_the_recordings_below_them(
        self, serval: Serval, url: str, clip: Path, tmp_path: Path
    ) -> None:
        folder = tmp_path / "calls"
        for name in ("b/two.wav", "a/one.WAV", "notes.txt"):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(clip.read_bytes())
        said = serval("predict", folder, "--model", "tiny-a", "--jsonl")
        assert said.status == 0, said.err
        found = [json.loads(line)["file"] for line in said.out.splitlines()]
        assert found == [str(folder / "a/one.WAV"), str(folder / "b/two.wav")]
        (tmp_path / "empty").mkdir()
        assert "holds no WAV, FLAC or AIFF file" in serval("predict", tmp_path / "empty").err

    def test_csv_has_a_row_for_each_channel(
        self, serval: Serval, url: str, clip: Path, tmp_path: Path
    ) -> None:
        voice = (noise() * 32_767).astype("<i2")
        call = np.stack([np.zeros_like(voice), voice], axis=1)
        (tmp_path / "call.wav").write_bytes(wav(call.tobytes(), channels=2))
        files = (clip, "nothing.wav", tmp_path / "call.wav")
        said = serval("predict", *files, "--model", "tiny-a", "--channel", "each", "--csv")
        only, missing, left, right = csv.DictReader(io.StringIO(said.out))
        assert said.status == 1
        assert (only["file"], only["channel"]) == (str(clip), "left")
        assert float(only["score"]) == pytest.approx(
            max(float(one.split("=")[1]) for one in only["scores"].split()), abs=1e-5
        )
        assert only["warnings"].startswith("too_short=")
        assert (missing["label"], "cannot be read" in missing["error"]) == ("", True)
        assert (left["channel"], left["label"]) == ("left", "")
        assert "silent" in left["error"]
        assert (right["channel"], right["error"]) == ("right", "")

    def test_the_channels_of_a_call_are_shown(
        self, serval: Serval, url: str, tmp_path: Path
    ) -> None:
        call = (np.stack([noise(seed=1), noise(seed=2)], axis=1) * 32_767).astype("<i2")
        (tmp_path / "call.wav").write_bytes(wav(call.tobytes(), channels=2))
        said = serval("predict", tmp_path / "call.wav", "--model", "tiny-a", "--channel", "each")
        assert said.status == 0, said.err
        assert "call.wav left  0.50 s" in said.out
        assert "call.wav right  0.50 s" in said.out

    def test_two_ways_to_print_are_refused(self, serval: Serval, clip: Path) -> None:
        assert "give one" in serval("predict", clip, "--csv", "--json").err

    def test_the_key_is_sent(self, serval: Serval, url: str, clip: Path, make_key: MakeKey) -> None:
        key = make_key("predict")
        assert "Unauthorized" in serval("predict", clip, "--model", "tiny-a").err
        assert serval("predict", clip, "--model", "tiny-a", "--key", key.token).status == 0


class TestCorpus:
    def test_a_folder_is_packed_and_uploaded(self, serval: Serval, url: str, speech: Path) -> None:
        said = serval("corpus", "add", speech)
        assert said.status == 0, said.err
        assert "speech (index" in said.out
        assert "anger 4, neutral 4" in said.out
        assert "skipped" not in said.err

    def test_an_archive_is_uploaded_as_it_is(
        self, serval: Serval, url: str, tmp_path: Path
    ) -> None:
        (tmp_path / "small.zip").write_bytes(corpus_zip(None, **{"notes.txt": b""}))
        said = serval("corpus", "add", tmp_path / "small.zip", "--name", "mine")
        assert "mine (index" in said.out
        assert "skipped notes.txt: neither WAV, FLAC nor AIFF" in said.err

    def test_a_corpus_is_listed_shown_and_removed_by_its_name(
        self, serval: Serval, url: str, corpus: str
    ) -> None:
        assert corpus in serval("corpus", "list").out
        assert [one["id"] for one in json.loads(serval("corpus", "list", "--json").out)] == [corpus]
        assert corpus in serval("corpus", "show", "speech").out
        assert serval("corpus", "remove", "speech").out == f"{corpus} is removed.\n"
        assert "No corpus is named 'speech'" in serval("corpus", "show", "speech").err

    def test_its_emotions_are_renamed_and_what_was_skipped_is_listed(
        self, serval: Serval, url: str, tmp_path: Path
    ) -> None:
        notes = {f"{number:02}.txt": b"" for number in range(12)}
        (tmp_path / "small.zip").write_bytes(corpus_zip(None, **notes))
        said = serval("corpus", "add", tmp_path / "small.zip", "--label", "anger=ira", "--aliases")
        assert "ira 4, neutral 4" in said.out
        assert "skipped 12 files (not_audio 12); `serval corpus skipped corpus_" in said.err
        assert "test has one speaker" in said.err
        assert "11.txt" not in said.err
        assert "11.txt" in serval("corpus", "skipped", "small").out
        said = serval("corpus", "add", tmp_path / "small.zip", "--label", "anger")
        assert "give OLD=NEW" in said.err

    def test_a_name_of_several_is_not_guessed(
        self, serval: Serval, url: str, corpus: str, speech: Path
    ) -> None:
        serval("corpus", "add", speech)
        said = serval("corpus", "remove", "speech")
        assert said.status == 1
        assert corpus in said.err

    def test_a_corpus_that_is_refused_ends_with_1_and_the_reason(
        self, serval: Serval, url: str, speech: Path
    ) -> None:
        (speech / "ann" / "anger.wav").unlink()
        said = serval("corpus", "add", speech)
        assert said.status == 1
        assert "ann/anger.wav" in said.err

    def test_a_folder_without_recordings_is_refused_before_it_is_sent(
        self, serval: Serval, tmp_path: Path
    ) -> None:
        (tmp_path / "empty").mkdir()
        said = serval("corpus", "add", tmp_path / "empty")
        assert "holds no WAV, FLAC or AIFF files" in said.err

    def test_the_help_names_every_format(self, serval: Serval) -> None:
        told = " ".join(serval("corpus", "add", "--help").out.replace("│", " ").split())
        assert ", ".join(ADAPTERS) in told

    def test_a_path_that_is_not_there_is_named(self, serval: Serval) -> None:
        assert "nowhere cannot be read" in serval("corpus", "add", "nowhere").err


class TestTrain:
    @pytest.fixture
    def short(self, corpus: str) -> tuple[str, ...]:
        return ("train", "--corpus", "speech", "--architecture", "tiny", "--iterations", "3",
                "--batch-size", "2")  # fmt: skip

    def test_a_training_is_followed_to_its_end(
        self, serval: Serval, worker: WorkerContext, short: tuple[str, ...]
    ) -> None:
        said = serval(*short, "--defense", "vanilla alpha=0.4", "--epsilon", "0.05")
        assert said.status == 0, said.err
        assert "model_" in said.out
        assert "dev" in said.out
        assert "ε 0.05" in said.out
        assert "loss" in said.err
        assert "succeeded" in said.err

    def test_json_holds_the_job_as_it_ended(
        self, serval: Serval, worker: WorkerContext, short: tuple[str, ...]
    ) -> None:
        said = serval(*short, "--json", "--seed", "7")
        job = json.loads(said.out)
        assert job["status"] == "succeeded"
        assert job["input"]["seed"] == 7
        assert said.err == ""

    def test_it_takes_any_defence_and_any_attack_with_their_parameters(
        self, serval: Serval, worker: WorkerContext, short: tuple[str, ...]
    ) -> None:
        said = serval(*short, "--json", "--defense", "trades beta=3 steps=2", "--seed", "7")
        defense = json.loads(said.out)["input"]["defense"]
        assert (defense["type"], defense["beta"], defense["steps"]) == ("trades", 3, 2)
        attack = ("--attack", '{"type": "pgd", "steps": 3}')
        said = serval(*short, "--json", "--defense", "vanilla", *attack)
        told = json.loads(said.out)["input"]["attack"]
        assert (told["type"], told["steps"]) == ("pgd", 3)

    def test_it_takes_weights_of_emotions_as_a_name_pairs_or_json(
        self, serval: Serval, worker: WorkerContext, short: tuple[str, ...]
    ) -> None:
        known = json.loads(serval("corpus", "show", "speech", "--json").out)["classes"]
        emotion = min(known)
        for given, taken in (
            ("balanced", "balanced"),
            (f"{emotion}=2", {emotion: 2.0}),
            (f'{{"{emotion}": 2}}', {emotion: 2.0}),
        ):
            said = serval(*short, "--no-wait", "--json", "--class-weights", given)
            assert json.loads(said.out)["input"]["class_weights"] == taken, said.err
        said = serval(*short, "--json", "--sampling", "balanced", "--epsilon-ramp", "2")
        told = json.loads(said.out)
        assert (told["input"]["sampling"], told["input"]["epsilon_ramp"]) == ("balanced", 2)
        assert told["status"] == "succeeded"

    def test_a_preset_sets_what_its_method_needs(
        self, serval: Serval, corpus: str, short: tuple[str, ...]
    ) -> None:
        said = serval(*short, "--preset", "icassp2020-paper")
        assert said.status == 1
        assert "icassp2020-paper, 10000" in said.err

    def test_its_help_lists_architectures_defences_and_attacks_and_what_they_take(
        self, serval: Serval
    ) -> None:
        with added("adding-a-defense.md"), added("adding-an-architecture.md"):
            said = serval("train", "--help")
        for name in (
            *ARCHITECTURES, *DEFENSES, *ATTACKS, *TRAINING_PRESETS, "small", "logit-pairing",
        ):  # fmt: skip
            assert f"  {name}: " in said.out
        assert "beta [6.0]: Weight of the divergence" in said.out
        assert "weight [0.5]: Weight of the pairing." in said.out

    def test_a_defence_that_does_not_hold_is_shown_with_its_field(
        self, serval: Serval, short: tuple[str, ...]
    ) -> None:
        said = serval(*short, "--defense", "trades beta=much")
        assert said.status == 1
        assert "defense.beta" in said.err

    def test_a_command_that_does_not_wait_prints_the_id(
        self, serval: Serval, short: tuple[str, ...]
    ) -> None:
        assert serval(*short, "--no-wait").out.startswith("train_")

    def test_what_the_service_refuses_is_shown(self, serval: Serval, corpus: str) -> None:
        said = serval("train", "--corpus", corpus, "--iterations", "-1")
        assert said.status == 1
        assert "iterations" in said.err

    def test_a_job_that_fails_ends_with_1_and_its_reason(
        self, serval: Serval, short: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def failed(*_: Any, **__: Any) -> dict[str, Any]:
            error = {"code": "diverged", "message": "the loss is NaN"}
            return {"id": "train_1", "status": "failed", "error": error}

        monkeypatch.setattr("app.cli.train.follow", failed)
        said = serval(*short)
        assert said.status == 1
        assert "train_1 failed: the loss is NaN (diverged)" in said.err


class TestAudit:
    def test_on_a_corpus_it_shows_the_curve(
        self, serval: Serval, worker: WorkerContext, corpus: str
    ) -> None:
        names = ("--model", self.model(serval), "--corpus", "speech")
        said = serval("audit", *names, "--epsilon", "0,0.5", "--partition", "all")
        assert said.status == 0, said.err
        assert "on 8 clips: UAR" in said.out
        assert "0.500" in said.out

    def model(self, serval: Serval) -> str:
        """A model that knows the corpus' emotions."""
        said = serval(
            "train", "--corpus", "speech", "--architecture", "tiny", "--iterations", "2",
            "--batch-size", "2", "--json",
        )  # fmt: skip
        return str(json.loads(said.out)["result"]["model"])

    def test_on_wav_files_without_labels_there_is_no_uar(
        self, serval: Serval, worker: WorkerContext, url: str, clip: Path
    ) -> None:
        said = serval("audit", clip, "--model", "tiny-a", "--epsilon", "0.1")
        assert said.status == 0, said.err
        assert "on 1 clips: no labels, so no UAR" in said.out

    def test_on_wav_files_with_labels(
        self, serval: Serval, worker: WorkerContext, url: str, clip: Path
    ) -> None:
        arguments = ("--model", "tiny-a", "--epsilon", "0.1", "--label", "calm", "--json")
        job = json.loads(serval("audit", clip, *arguments).out)
        assert job["result"]["n"] == 1
        assert job["result"]["clean"]["uar"] is not None

    @pytest.mark.parametrize(
        ("arguments", "told"),
        [
            ((), "either --corpus, or recordings"),
            (
                ("a.wav", "--epsilon", "0.1", "--preset", "quick"),
                "--epsilon would have no effect without --attack",
            ),
            (("a.wav", "--request", "nowhere.json"), "nowhere.json cannot be read"),
            (("a.wav", "--leave-out", "ann"), "--fold or --leave-out would have no effect"),
            (("a.wav", "--corpus", "speech"), "either --corpus, or recordings"),
            (("a.wav", "--epsilon", "strong"), "'strong'"),
            (("a.wav", "--attack", "steps=10"), "begin with a type"),
            (("a.wav", "--dry-run"), "--dry-run needs --corpus"),
            (
                ("--corpus", "c", "--harden", "vanilla", "--harden-at", "much"),
                "--harden-at is 'much'; give a number",
            ),
            (("a.wav", "--label", "calm", "--label", "sad"), "2 labels for 1 files"),
            (("a.wav", "--harden", "vanilla"), "--harden would have no effect without --corpus"),
            (("a.wav", "--limit", "5"), "--limit would have no effect without --corpus"),
            (("a.wav", "--partition", "dev"), "--partition would have no effect without --corpus"),
            (("a.wav", "--harden-at", "0.1"), "--harden-at would have no effect without --harden"),
            (
                ("--corpus", "c", "--label", "sad"),
                "--label would have no effect without recordings",
            ),
        ],
    )
    def test_what_makes_no_sense_is_refused(
        self, serval: Serval, arguments: tuple[str, ...], told: str
    ) -> None:
        said = serval("audit", "--model", "tiny-a", *arguments)
        assert said.status == 1
        assert told in said.err

    @pytest.fixture
    def asked(self, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
        """What would be sent."""
        sent: list[dict[str, Any]] = []

        def send(_api: Api, _method: str, _path: str, **given: Any) -> dict[str, str]:
            sent.append(given["json"])
            return {"id": "audit_1"}

        monkeypatch.setattr(Api, "send", send)
        return sent

    ON: ClassVar = ("audit", "--model", "tiny-a", "--corpus", "corpus_1", "--no-wait")

    @pytest.mark.parametrize(
        ("words", "attacks"),
        [
            (
                ("--epsilon", "0,.04"),
                [{"type": "fgsm", "epsilon": [0, 0.04]}, {"type": "noise", "epsilon": [0, 0.04]}],
            ),
            (
                ("--attack", "apgd steps=.5"),
                [{"type": "apgd", "steps": 0.5, "epsilon": [0.02, 0.04, 0.06, 0.08, 0.1]}],
            ),
            (
                ("--attack", "pgd steps=10", "--attack", "noise draws=5", "--epsilon", "0.02"),
                [
                    {"type": "pgd", "steps": 10, "epsilon": [0.02]},
                    {"type": "noise", "draws": 5, "epsilon": [0.02]},
                ],
            ),
            (
                ("--attack", "pgd domain=waveform snr_db=60,40", "--attack", "fgsm epsilon=0.1"),
                [
                    {"type": "pgd", "domain": "waveform", "snr_db": [60, 40]},
                    {"type": "fgsm", "epsilon": [0.1]},
                ],
            ),
            (
                ("--attack", 'transfer from=tiny-b attack={"type":"fgsm"}', "--epsilon", "0.1"),
                [
                    {
                        "type": "transfer",
                        "from": "tiny-b",
                        "attack": {"type": "fgsm", "epsilon": [0.1]},
                    }
                ],
            ),
        ],
    )
    def test_attacks_are_asked_for_with_their_strengths(
        self,
        serval: Serval,
        asked: list[dict[str, Any]],
        words: tuple[str, ...],
        attacks: list[dict[str, Any]],
    ) -> None:
        assert serval(*self.ON, *words).out == "audit_1\n"
        assert asked[0]["attacks"] == attacks

    def test_the_rest_is_asked_for_where_it_is_given(
        self, serval: Serval, asked: list[dict[str, Any]]
    ) -> None:
        serval(
            *self.ON, "--windows", "first", "--precision", "tf32", "--max-seconds", "60",
            "--seed", "3", "--limit", "5", "--partition", "dev",
        )  # fmt: skip
        assert asked[0] == {
            "model": "tiny-a",
            "corpus": "corpus_1",
            "preset": "quick",
            "partition": "dev",
            "limit": 5,
            "seed": 3,
            "windows": "first",
            "precision": "tf32",
            "max_seconds": 60,
        }

    @pytest.mark.parametrize(
        ("at", "when"),
        [
            ("0.04", {"epsilon": 0.04}),
            ("domain=waveform snr_db=40", {"domain": "waveform", "snr_db": 40}),
        ],
    )
    def test_hardening_is_asked_for(
        self, serval: Serval, asked: list[dict[str, Any]], at: str, when: dict[str, Any]
    ) -> None:
        words = ("--attack", "fgsm epsilon=0.04", "--harden", "vanilla", "--harden-at", at)
        serval(*self.ON, *words, "--harden-above", "0.5")
        assert asked == [
            {
                "model": "tiny-a",
                "corpus": "corpus_1",
                "partition": "test",
                "attacks": [{"type": "fgsm", "epsilon": [0.04]}],
                "harden": {
                    "defense": {"type": "vanilla"},
                    "when": when | {"success_rate_above": 0.5},
                },
            }
        ]

    @pytest.fixture
    def file(self, tmp_path: Path) -> Path:
        """A request in a file."""
        path = tmp_path / "request.json"
        path.write_text(json.dumps({"model": "tiny-b", "corpus": "corpus_2", "preset": "standard",
                                    "limit": 5}))  # fmt: skip
        return path

    def test_a_request_comes_from_a_file_and_options_count_before_it(
        self, serval: Serval, asked: list[dict[str, Any]], file: Path
    ) -> None:
        serval("audit", "--request", file, "--limit", "7", "--no-wait")
        assert asked == [
            {"model": "tiny-b", "corpus": "corpus_2", "preset": "standard", "limit": 7,
             "partition": "test"}
        ]  # fmt: skip

    @pytest.mark.parametrize(
        ("text", "told"),
        [("{", "is not JSON"), ("[1]", "holds no JSON object"), ('{"corpus": "c"}', "--model")],
    )
    def test_a_file_that_is_no_request_is_refused(
        self, serval: Serval, tmp_path: Path, text: str, told: str
    ) -> None:
        (tmp_path / "bad.json").write_text(text)
        said = serval("audit", "--request", tmp_path / "bad.json")
        assert said.status == 1
        assert told in said.err

    def test_a_number_that_json_cannot_say_is_refused(
        self, serval: Serval, url: str, corpus: str
    ) -> None:
        said = serval(
            "audit", "--model", "tiny-a", "--corpus", corpus, "--attack", "pgd step=1e999"
        )
        assert said.status == 1
        assert "cannot be sent as JSON" in said.err

    def test_a_preset_is_audited_and_named(
        self, serval: Serval, worker: WorkerContext, corpus: str
    ) -> None:
        names = ("--model", self.model(serval), "--corpus", "speech", "--partition", "all")
        said = serval("audit", *names, "--json")
        job = json.loads(said.out)
        assert job["input"]["preset"] == "quick"
        assert [one["type"] for one in job["result"]["attacks"]] == ["fgsm", "noise"]

    def test_an_unknown_preset_is_refused_with_those_that_there_are(
        self, serval: Serval, url: str, corpus: str
    ) -> None:
        said = serval("audit", "--model", "tiny-a", "--corpus", corpus, "--preset", "strict")
        assert said.status == 1
        assert "icassp2020-paper" in said.err

    def test_a_forecast_is_shown_and_nothing_queued(
        self, serval: Serval, worker: WorkerContext, corpus: str
    ) -> None:
        names = ("--model", self.model(serval), "--corpus", "speech", "--partition", "all")
        attack = ("--attack", "pgd steps=10 epsilon=0.02")
        said = serval("audit", *names, *attack, "--dry-run")
        assert said.status == 0, said.err
        # Of each of 8 clips: its score, ten steps and the last point, the score of that.
        assert "8 clips: 104 forward and 80 backward passes, 0 queries, about" in said.out
        told = json.loads(serval("audit", *names, *attack, "--dry-run", "--json").out)
        assert (told["object"], told["forwards"], told["exact"]) == ("forecast", 104, True)
        most = serval("audit", *names, "--attack", "fgsm minimum=true epsilon=0.1", "--dry-run")
        assert "8 clips: at most " in most.out
        with worker.sessions() as session:
            kinds = session.scalars(select(Job.kind)).all()
        assert JobKind.AUDIT not in kinds

    def test_the_smallest_strengths_are_shown(
        self, serval: Serval, worker: WorkerContext, corpus: str
    ) -> None:
        names = ("--model", self.model(serval), "--corpus", "speech", "--partition", "all")
        said = serval("audit", *names, "--attack", "fgsm epsilon=5 minimum=true")
        assert said.status == 0, said.err
        assert "smallest strength that breaks, 0 fgsm: quartiles" in said.out
        assert "worst case, features linf 5 sigma: UAR" in said.out

    def test_the_help_lists_the_attacks_with_their_parameters(self, serval: Serval) -> None:
        said = " ".join(serval("audit", "--help").out.split())
        for name in (*ATTACKS, *CORRUPTIONS, *PRESETS):
            assert f" {name}: " in said
        assert "steps [20]: Gradient steps of a restart." in said
        assert said.count("snr_db [none]") == 1  # once for all of them


class TestKeys:
    def test_one_that_was_made_opens_the_service(
        self, serval: Serval, url: str, clip: Path
    ) -> None:
        made = serval("keys", "create", "--name", "call centre", "--scopes", "predict,audit")
        assert made.status == 0
        token = made.out.strip()
        assert token.startswith("sk_")
        assert "(audit, predict)" in made.err
        assert serval("predict", clip, "--model", "tiny-a").status == 1
        assert serval("predict", clip, "--model", "tiny-a", "--key", token).status == 0

    def test_the_first_one_is_made_before_the_service_ever_ran_and_without_a_key(
        self, serval: Serval, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.delenv("DATABASE_URL")
        monkeypatch.setenv("SERVAL_DATA_DIR", str(tmp_path / "nothing here yet"))
        made = serval("keys", "create", "--name", "first", "--scope", "admin")
        assert made.status == 0
        assert "first" in serval("keys", "list").out
        assert serval("keys", "--help").out.count("no running service") == 1

    def test_keys_are_listed_without_their_tokens_and_revoked(self, serval: Serval) -> None:
        args = ("keys", "create", "--name", "x", "--scope", "train", "--scope", "audit", "--json")
        made = json.loads(serval(*args).out)
        assert made["scopes"] == ["audit", "train"]
        listed = serval("keys", "list")
        assert made["id"] in listed.out
        assert made["token"] not in listed.out
        assert serval("keys", "revoke", made["id"]).out == f"{made['id']} (x) is revoked.\n"
        (key,) = json.loads(serval("keys", "list", "--json").out)
        assert key["revoked_at"] is not None

    def test_what_was_made_before_the_first_one_can_be_given_to_it(
        self, serval: Serval, url: str, speech: Path
    ) -> None:
        corpus = json.loads(serval("corpus", "add", speech, "--json").out)["id"]
        create = ("keys", "create", "--name", "first", "--scopes", "audit")
        made = serval(*create)
        assert "made while there was none: 1 corpus." in made.err
        key_id = made.err.split()[2]
        assert f"serval keys adopt --from local --to {key_id}" in made.err
        list_ = ("corpus", "list", "--key", made.out.strip())
        assert corpus not in serval(*list_).out
        given = serval("keys", "adopt", "--from", "local", "--to", key_id)
        assert given.out == f"{key_id} owns what local owned: 1 corpus.\n"
        assert corpus in serval(*list_).out
        assert "1 corpus" not in serval(*create).err

        left = serval("keys", "revoke", key_id)
        assert "It leaves 1 corpus" in left.err
        heir = serval(*create)
        heir_id = heir.err.split()[2]
        assert serval("keys", "adopt", "--from", key_id, "--to", heir_id).status == 0
        assert corpus in serval("corpus", "list", "--key", heir.out.strip()).out

    def test_what_was_made_before_the_first_key_is_adopted_with_it(
        self, serval: Serval, url: str, speech: Path
    ) -> None:
        corpus = json.loads(serval("corpus", "add", speech, "--json").out)["id"]
        made = serval("keys", "create", "--name", "x", "--scope", "audit", "--adopt-local")
        assert "adopt" not in made.err
        assert corpus in serval("corpus", "list", "--key", made.out.strip()).out

    def test_a_key_that_cannot_adopt_is_not_made(self, serval: Serval, session: Session) -> None:
        job = record(session, Submission(JobKind.AUDIT, "local", {}))
        job.status = JobStatus.RUNNING
        session.commit()
        made = serval("keys", "create", "--name", "x", "--scope", "audit", "--adopt-local")
        assert made.status == 1
        assert f"{job.id} of local is under way" in made.err
        assert json.loads(serval("keys", "list", "--json").out) == []

    @pytest.mark.parametrize(
        ("arguments", "told"),
        [
            (("create", "--name", "x", "--scopes", "everything"), "'everything' is not a scope"),
            (("create", "--name", "x", "--scopes", ","), "needs a scope"),
            (("create", "--name", "", "--scopes", "audit"), "1 to 100 characters"),
            (("revoke", "key_1"), "no key 'key_1'"),
        ],
    )
    def test_what_does_not_hold_is_refused(
        self, serval: Serval, arguments: tuple[str, ...], told: str
    ) -> None:
        said = serval("keys", *arguments)
        assert said.status == 1
        assert told in said.err


class TestServe:
    def test_another_address_than_loopback_is_refused_while_there_is_no_key(
        self, serval: Serval
    ) -> None:
        said = serval("serve", "--host", "0.0.0.0", "--port", "0")
        assert said.status == 1
        assert "serval keys create" in said.err

    def test_a_port_in_use_is_named_with_the_remedy(self, serval: Serval, url: str) -> None:
        port = url.rpartition(":")[2]
        said = serval("serve", "--port", port)
        assert said.status == 1
        assert f"Port {port} on 127.0.0.1 is in use" in said.err
        assert "SERVAL_PORT=" in said.err


class TestFollowing:
    """What happens while a job is watched."""

    JOB: ClassVar = {
        "id": "train_1",
        "object": "training",
        "status": "queued",
        "urls": {"self": "/v1/trainings/train_1", "cancel": "/v1/trainings/train_1/cancel"},
    }

    def test_a_stream_goes_on_after_its_last_event_when_the_service_was_restarted(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked: list[str] = []

        def stream(_api: Api, _path: str, last: str) -> Any:
            asked.append(last)
            if len(asked) == 1:
                yield "7", following.Event("running", {})
                raise Unreachable("gone")
            yield "8", following.Event("succeeded", {})

        monkeypatch.setattr(following, "_stream", stream)
        monkeypatch.setattr(following, "RETRY_SECONDS", 0)
        api = FakeApi("succeeded")
        events = list(following._events(api, "/v1/trainings/train_1"))  # type: ignore[arg-type]
        assert asked == ["", "7"]
        assert [event.type for event in events] == ["running", "succeeded"]

    def test_the_bar_shows_the_time_left_that_the_service_knows(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        file = io.StringIO()
        console = Console(file=file, width=100, force_terminal=True, color_system=None)
        monkeypatch.setattr(following, "err_console", lambda: console)
        display = following.Display("audit")
        told = {"done": 5, "total": 50, "unit": "passes", "eta_seconds": 3697.2}
        with display.progress:
            display.show(following.Event("progress", told))
            display.show(following.Event("scored", {"clips": 5, "of": 50}))
        shown = file.getvalue()
        assert "5/50 passes" in shown
        assert "1:01:37 left" in shown
        assert "scored" not in shown

    def test_ctrl_c_ends_the_watching_and_says_how_to_cancel(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        def interrupted(*_: Any) -> Any:
            yield following.Event("running", {})
            signal.raise_signal(signal.SIGINT)
            pytest.fail("Ctrl-C went unheard")

        monkeypatch.setattr(following, "_events", interrupted)
        with pytest.raises(typer.Exit) as ended:
            following.follow(FakeApi("running"), self.JOB)  # type: ignore[arg-type]
        assert ended.value.exit_code == 130
        said = capsys.readouterr().err
        assert "train_1 goes on" in said
        assert "`serval jobs follow train_1`" in said
        assert "`serval jobs cancel train_1`" in said


class FakeApi:
    """A service whose job has a status."""

    url = "http://service"

    def __init__(self, status: str) -> None:
        self.status = status

    def get(self, _path: str) -> dict[str, str]:
        return {"status": self.status}
