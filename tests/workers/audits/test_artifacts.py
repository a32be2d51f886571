"""What an audit leaves to look at and to listen to."""

import hashlib
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from fastapi.testclient import TestClient
from safetensors import safe_open
from safetensors.torch import load_file

from app.audits import files
from app.audits.report import CorpusClips, Report
from app.corpora.tables import Corpus
from models.audio import decode
from models.features import LogMel, tile
from tests import spoken
from tests.workers.audits.audits import (
    CLIPS,
    FGSM,
    GRID,
    audited,
    claimed,
    findings,
    performed,
    request,
    rows,
    submit,
)
from tests.workers.audits.conftest import Passes
from workers.audits import artifacts
from workers.jobs import PERFORM
from workers.runtime.context import WorkerContext
from workers.runtime.run import configure

PGD = {"type": "pgd", "epsilon": [0.6], "steps": 5}
EXHIBITS = [
    f"{role}-{view}"
    for role in ("easiest", "median", "hardest")
    for view in ("original", "adversarial", "difference")
]
WAVE = {"type": "pgd", "domain": "waveform", "snr_db": [30, 5], "steps": 3}


@pytest.fixture
def job(client: TestClient, model: str, corpus: Corpus) -> dict[str, Any]:
    return audited(client, request(model, corpus))


def tensors(folder: Path) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """What the file of inputs holds, and what it says of it."""
    path = folder / files.ARTIFACTS / files.INPUTS_FILE
    with safe_open(path, framework="pt") as file:
        return load_file(path), file.metadata()


class TestArtifacts:
    def test_are_what_the_list_says(self, job: dict[str, Any], context: WorkerContext) -> None:
        folder = findings(context, job["id"])
        listed = files.read_artifacts(folder)
        assert {one.name for one in listed} == {
            path.name for path in (folder / files.ARTIFACTS).iterdir()
        }
        for one in listed:
            content = (folder / files.ARTIFACTS / one.name).read_bytes()
            assert hashlib.sha256(content).hexdigest() == one.sha256
            assert len(content) == one.bytes
            assert files.is_artifact(one.name)

    def test_say_what_they_are(self, job: dict[str, Any], context: WorkerContext) -> None:
        folder = findings(context, job["id"])
        told = {one.name: one.description for one in files.read_artifacts(folder)}
        clips = {row["index"]: row for row in rows(context, job["id"])}
        assert told["uar-curve.png"] == (
            "UAR against the strength of the attacks, as Figure 3 of the paper"
        )
        assert told["adversarial.safetensors"].startswith("Clean and adversarial inputs of 8 clips")
        sounds = [name for name in told if name.startswith("adversarial-")]
        assert sounds
        intelligible = {
            one.name: one.stoi for one in files.read_artifacts(folder) if one.stoi is not None
        }
        assert set(intelligible) <= set(sounds)
        assert all(-1 <= value <= 1 for value in intelligible.values())
        for name in sounds:
            _, index, place = Path(name).stem.split("-")
            row = clips[int(index)]
            one = row["attacked"][int(place) - 1]
            assert told[name] == (
                f"{row['clip']} under FGSM, ε = {one['strength']:g}:"
                f" {one['audio']['snr_db']:.1f} dB SNR: heard as {one['audio']['label']}"
            )
            assert told[f"clean-{index}.wav"] == f"{row['clip']} at 16 kHz"
        pictures = [text for name, text in told.items() if name.startswith("figure2-")]
        assert len(pictures) == 4
        assert all("FGSM, ε = " in text for text in pictures)

    def test_sounds_and_inputs_may_be_left_out(
        self, client: TestClient, model: str, corpus: Corpus, context: WorkerContext
    ) -> None:
        job = audited(client, request(model, corpus, save_adversarial=False))
        made = {one.name for one in files.read_artifacts(findings(context, job["id"]))}
        assert made == {
            "uar-curve.png",
            *(f"figure2-{n}.png" for n in range(1, 5)),
            *(f"exhibit-{one}{suffix}" for one in EXHIBITS for suffix in (".png", ".svg")),
        }

    def test_are_no_more_than_the_settings_allow(
        self, client: TestClient, model: str, corpus: Corpus, context: WorkerContext
    ) -> None:
        few = context.settings.model_copy(update={"max_saved_wavs": 3, "max_saved_clips": 2})
        configure(replace(context, settings=few), PERFORM)
        job = audited(client, request(model, corpus))
        folder = findings(context, job["id"])
        assert len(list((folder / files.ARTIFACTS).glob("*.wav"))) <= 3
        kept, told = tensors(folder)
        assert len(json.loads(told["clips"])) == 2
        assert len([name for name in kept if "features" in name]) == 2


class TestPictures:
    def test_are_png_and_made_in_a_second_each(
        self, client: TestClient, model: str, corpus: Corpus, context: WorkerContext
    ) -> None:
        took: list[float] = []

        def timed(*arguments: Any, **options: Any) -> bytes:
            began = time.process_time()
            picture = artifacts.DRAWN.pair(*arguments, **options)
            took.append(time.process_time() - began)
            return picture

        attempt = claimed(context, submit(client, request(model, corpus, attacks=[FGSM, WAVE])))
        performed(context, attempt, pictures=artifacts.Pictures(pair=timed))
        folder = findings(context, attempt.job_id) / files.ARTIFACTS
        names = sorted(path.name for path in folder.glob("*.png"))
        exhibits = sorted(f"exhibit-{one}.png" for one in EXHIBITS)
        assert names == [*exhibits, *(f"figure2-{n}.png" for n in range(1, 5)), "uar-curve.png"]
        assert all(path.read_bytes().startswith(b"\x89PNG\r\n") for path in folder.glob("*.png"))
        assert len(took) == 4
        assert min(took) <= 1  # the first one also loads a font

    def test_show_broken_clips_of_every_emotion_at_the_weakest_strength_that_broke_them(
        self, client: TestClient, model: str, corpus: Corpus, context: WorkerContext
    ) -> None:
        shown: list[tuple[str, str, str]] = []

        def noted(clean: Any, adversarial: Any, *, attack: str, truth: str, **_: Any) -> bytes:
            shown.append((truth, adversarial.label, attack))
            return b"\x89PNG"

        attempt = claimed(context, submit(client, request(model, corpus)))
        performed(context, attempt, pictures=artifacts.Pictures(pair=noted))
        found = rows(context, attempt.job_id)
        broken = {row["label"] for row in found if any(one["success"] for one in row["attacked"])}
        assert {truth for truth, _, _ in shown} == broken
        weakest = [
            (row["label"], one["label"], f"FGSM, ε = {one['strength']:g}")
            for row in found
            for one in [next((one for one in row["attacked"] if one["success"]), None)]
            if one is not None
        ]
        assert set(shown) <= set(weakest)

    def test_show_the_attack_and_not_the_control(
        self, client: TestClient, model: str, corpus: Corpus, context: WorkerContext
    ) -> None:
        shown: list[str] = []

        def noted(*_: Any, attack: str, **__: Any) -> bytes:
            shown.append(attack)
            return b"\x89PNG"

        attacks = [{"type": "noise", "epsilon": [10.0], "draws": 20}, PGD]
        attempt = claimed(context, submit(client, request(model, corpus, attacks=attacks)))
        performed(context, attempt, pictures=artifacts.Pictures(pair=noted))
        assert set(shown) == {"PGD, steps 5, ε = 0.6"}
        both = [row["attacked"] for row in rows(context, attempt.job_id)]
        assert sum(noise["success"] and pgd["success"] for noise, pgd in both) >= 4


class TestWhatIsShown:
    """It was scored: no attack is run a second time to show it."""

    def test_no_attack_is_run_again(
        self, client: TestClient, model: str, corpus: Corpus, context: WorkerContext, passes: Passes
    ) -> None:
        made: list[int] = []

        def pair(*_: Any, **__: Any) -> bytes:
            made.append(passes.clips)
            return b"\x89PNG"

        attempt = claimed(context, submit(client, request(model, corpus, attacks=[FGSM, WAVE])))
        performed(context, attempt, pictures=artifacts.Pictures(pair=pair))
        assert made == [made[0]] * 4

    def test_inputs_are_within_their_budget_and_score_as_the_rows_say(
        self, client: TestClient, model: str, corpus: Corpus, context: WorkerContext
    ) -> None:
        job = audited(client, request(model, corpus, attacks=[FGSM, WAVE]))
        folder = findings(context, job["id"])
        found = rows(context, job["id"])
        kept, told = tensors(folder)
        net, config = spoken.ear()
        points = json.loads(told["points"])
        assert [points[place]["strength"] for place in sorted(points)] == [*GRID, 30, 5]
        for name in json.loads(told["clips"]):
            row = found[int(name)]
            for place, point in points.items():
                x_adv = kept[f"{name}.attacked.{place}"]
                domain = point["parameters"]["domain"]
                clean = kept[f"{name}.{domain}"]
                if domain == "features":
                    assert float((x_adv - clean).abs().max()) <= point["strength"] + 1e-6
                    x = x_adv
                else:
                    noise = (x_adv - clean).square().sum()
                    snr = 10 * torch.log10(clean.square().sum() / noise)
                    assert float(snr) >= point["strength"] - 0.01
                    x = tile(config.standardizer(LogMel()(x_adv)), spoken.FRAMES)
                said = config.labels[int(net(x[None]).argmax())]
                assert said == row["attacked"][int(place)]["label"]

    def test_the_file_of_inputs_says_how_to_read_it(
        self, job: dict[str, Any], context: WorkerContext, model: str
    ) -> None:
        kept, told = tensors(findings(context, job["id"]))
        found = rows(context, job["id"])
        assert told["model"] == model
        assert len(told["model_sha256"]) == 64
        assert json.loads(told["labels"]) == ["anger", "joy", "sadness"]
        clips = json.loads(told["clips"])
        assert len(clips) == 8
        assert all(found[int(name)]["clip"] == clip for name, clip in clips.items())
        for place, point in json.loads(told["points"]).items():
            assert point["type"] == "fgsm"
            assert point["parameters"] == job["result"]["attacks"][point["attack"]]["parameters"]
            assert point["strength"] == GRID[int(place)]
        assert "z-scored" in told["units"]
        assert {name.split(".")[0] for name in kept} == {"mean", "std", *clips}
        _, config = spoken.ear()
        assert torch.equal(kept["std"], config.standardizer.std)

    def test_sounds_score_as_the_rows_say(
        self, job: dict[str, Any], context: WorkerContext
    ) -> None:
        folder = findings(context, job["id"])
        found = rows(context, job["id"])
        net, config = spoken.ear()
        sounds = sorted((folder / files.ARTIFACTS).glob("adversarial-*.wav"))
        assert sounds
        for path in sounds:
            _, index, point = path.stem.split("-")
            heard = LogMel()(torch.from_numpy(decode(path.read_bytes()).samples))
            x = config.standardizer(tile(heard, spoken.FRAMES))
            said = config.labels[int(net(x[None]).argmax())]
            assert found[int(index)]["attacked"][int(point) - 1]["audio"]["label"] == said

    def test_sounds_of_waveforms_are_what_was_scored(
        self, client: TestClient, model: str, corpus: Corpus, context: WorkerContext
    ) -> None:
        job = audited(client, request(model, corpus, attacks=[WAVE]))
        folder = findings(context, job["id"])
        kept, _ = tensors(folder)
        sounds = sorted((folder / files.ARTIFACTS).glob("adversarial-*.wav"))
        assert sounds
        for path in sounds:
            _, index, point = path.stem.split("-")
            content = path.read_bytes()
            assert content[34] == 16  # bits of a sample
            scored = kept[f"{index}.attacked.{int(point) - 1:03d}"]
            assert torch.equal(torch.from_numpy(decode(content).samples), scored)

    def test_a_clips_own_sound_lies_beside_them(
        self, job: dict[str, Any], context: WorkerContext
    ) -> None:
        folder = findings(context, job["id"]) / files.ARTIFACTS
        clean = min(folder.glob("clean-*.wav"))
        row = rows(context, job["id"])[int(clean.stem[-6:])]
        speaker, name = row["clip"].split("/")
        emotion, take = name.removesuffix(".wav").split("-")
        seed = 100 * spoken.SPEAKERS.index(speaker) + int(take)
        own = decode(spoken.wav(emotion, seed, 0.4 + 0.1 * int(take))).samples
        assert (decode(clean.read_bytes()).samples == own).all()


class TestReport:
    def test_tells_all_that_is_needed_to_do_it_again(
        self, job: dict[str, Any], context: WorkerContext, model: str, corpus: Corpus
    ) -> None:
        text = (findings(context, job["id"]) / files.REPORT).read_text()
        report = Report.model_validate_json(text)
        assert json.loads(text)["result"] == job["result"]
        assert report.request == job["input"]
        assert report.model.id == model
        assert len(report.model.sha256) == 64
        assert report.clips == CorpusClips(
            corpus=corpus.id,
            corpus_name="hums",
            partition="test",
            of=CLIPS,
            left_out={},
            sha256=report.clips.sha256,
        )
        assert report.clips.sha256 is not None
        assert report.environment.torch == torch.__version__
        assert report.artifacts == files.read_artifacts(findings(context, job["id"]))
