"""The easiest, the median and the hardest broken clip of an audit, to be looked at and heard."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fastapi.testclient import TestClient
from matplotlib.colors import Colormap

from app.audits import files
from app.audits.exhibits import Exhibit
from app.audits.report import Report
from app.corpora.tables import Corpus
from models.audio import decode
from models.features import HOP, MELS, SAMPLE_RATE
from tests import spoken
from tests.workers.audits.audits import (
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
from tests.workers.audits.conftest import NO_PICTURES, Passes
from workers.audits import artifacts
from workers.audits.exhibit_pictures import VIEWS, Exhibited, draw_exhibit, exhibit_pictures
from workers.runtime.context import WorkerContext

NOISE = {"type": "noise", "epsilon": GRID}
WAVE = {"type": "pgd", "domain": "waveform", "snr_db": [30, 5], "steps": 3}
ROLES = ["easiest", "median", "hardest"]


def exhibits(context: WorkerContext, job_id: str) -> list[Exhibit]:
    text = (findings(context, job_id) / files.REPORT).read_text()
    return Report.model_validate_json(text).exhibits


def content(context: WorkerContext, job_id: str, name: str) -> bytes:
    return (findings(context, job_id) / files.ARTIFACTS / name).read_bytes()


@pytest.fixture
def job(client: TestClient, model: str, corpus: Corpus) -> dict[str, Any]:
    return audited(client, request(model, corpus, attacks=[FGSM, NOISE]))


class TestExhibits:
    def test_are_three_clips_that_were_broken_the_easiest_first(
        self, job: dict[str, Any], context: WorkerContext
    ) -> None:
        found = exhibits(context, job["id"])
        assert [one.role for one in found] == ROLES
        assert len({one.index for one in found}) == 3
        weakest = {}
        for row in rows(context, job["id"]):
            broken = [p["strength"] for p in row["attacked"][: len(GRID)] if p["success"]]
            if broken:
                weakest[row["index"]] = min(broken)
        assert [one.broken for one in found] == [len(weakest)] * 3
        assert found[0].strength == min(weakest.values())
        assert found[2].strength == max(weakest.values())
        assert all(one.strength == weakest[one.index] for one in found)

    def test_say_what_the_row_says(self, job: dict[str, Any], context: WorkerContext) -> None:
        clips = {row["index"]: row for row in rows(context, job["id"])}
        for one in exhibits(context, job["id"]):
            row = clips[one.index]
            assert (one.clip, one.label, one.speaker) == (row["clip"], row["label"], row["speaker"])
            place = GRID.index(one.strength)
            for told, said in (
                (one.clean, row["clean"]),
                (one.attacked, row["attacked"][place]),
                (one.noise, row["attacked"][len(GRID) + place]),
            ):
                assert told is not None
                assert (told.label, told.score) == (said["label"], said["scores"][said["label"]])
            assert one.description == f"FGSM, ε = {one.strength:g}"
            assert one.unit == "sigma"

    def test_the_label_beside_a_sound_is_what_a_prediction_of_its_file_answers(
        self, job: dict[str, Any], context: WorkerContext, client: TestClient, model: str
    ) -> None:
        for one in exhibits(context, job["id"]):
            assert one.recordings is not None
            for name, said in (
                (one.recordings.adversarial, one.resynthesised),
                (one.recordings.original, one.clean),
            ):
                body = content(context, job["id"], name)
                answer = client.post(f"/v1/predict?model={model}", content=body).json()
                assert said is not None
                assert answer["label"] == said.label
                assert answer["scores"][0]["score"] == pytest.approx(said.score, abs=1e-5)

    def test_pictures_and_sounds_are_listed_artifacts(
        self, job: dict[str, Any], context: WorkerContext
    ) -> None:
        listed = {one.name: one for one in files.read_artifacts(findings(context, job["id"]))}
        for one in exhibits(context, job["id"]):
            assert one.sounds is not None
            for view in VIEWS:
                picture = getattr(one.pictures, view)
                assert listed[picture].media_type == "image/png"
                assert listed[picture.replace(".png", ".svg")].media_type == "image/svg+xml"
                assert listed[getattr(one.sounds, view)].media_type == "audio/flac"

    def test_excerpts_are_of_the_recordings_and_their_gains_are_said(
        self, job: dict[str, Any], context: WorkerContext
    ) -> None:
        for one in exhibits(context, job["id"]):
            assert one.sounds is not None
            assert one.recordings is not None
            assert one.difference_gain_db is not None
            assert one.gain_db is not None
            part = slice(*(round(second * SAMPLE_RATE) for second in one.excerpt_s))
            heard = {
                view: decode(content(context, job["id"], getattr(one.sounds, view))).samples
                for view in VIEWS
            }
            whole = {
                view: decode(content(context, job["id"], getattr(one.recordings, view))).samples
                for view in VIEWS[:2]
            }
            gain = 10 ** (one.gain_db / 20)
            for view, samples in whole.items():
                assert heard[view] == pytest.approx(gain * samples[part], abs=2e-3)
            change = gain * (whole["adversarial"] - whole["original"])[part]
            amplified = change * 10 ** (one.difference_gain_db / 20)
            assert heard["difference"] == pytest.approx(amplified, abs=0.02)

    def test_without_saved_recordings_there_are_pictures_alone(
        self, client: TestClient, model: str, corpus: Corpus, context: WorkerContext
    ) -> None:
        job = audited(client, request(model, corpus, save_adversarial=False))
        found = exhibits(context, job["id"])
        assert [one.role for one in found] == ROLES
        told = {
            (one.sounds, one.recordings, one.resynthesised, one.gain_db, one.difference_gain_db)
            for one in found
        }
        assert told == {(None,) * 5}
        assert not list((findings(context, job["id"]) / files.ARTIFACTS).glob("*.flac"))

    def test_of_an_attack_on_waveforms_the_sound_is_the_attack_itself(
        self, client: TestClient, model: str, corpus: Corpus, context: WorkerContext
    ) -> None:
        job = audited(client, request(model, corpus, attacks=[WAVE]))
        found = exhibits(context, job["id"])
        assert found
        for one in found:
            assert one.unit == "dB"
            assert one.noise is None
            assert one.resynthesised is not None
            assert one.resynthesised.label == one.attacked.label
            assert one.resynthesised.score == pytest.approx(one.attacked.score, abs=1e-5)
            assert one.resynthesised.snr_db >= one.strength - 0.01

    def test_show_what_was_scored_and_run_no_attack_again(
        self, client: TestClient, model: str, corpus: Corpus, context: WorkerContext, passes: Passes
    ) -> None:
        shown: list[Exhibited] = []
        before: list[int] = []

        def noted(exhibited: Exhibited) -> Any:
            shown.append(exhibited)
            before.append(passes.clips)
            return NO_PICTURES.exhibit(exhibited)

        attempt = claimed(context, submit(client, request(model, corpus)))
        drawn = artifacts.Pictures(NO_PICTURES.pair, NO_PICTURES.curves, noted)
        performed(context, attempt, pictures=drawn)
        told = exhibits(context, attempt.job_id)
        assert len(shown) == len(told) == 3
        heard_again = 1  # the WAV of each
        assert before[2] - before[0] <= 2 * heard_again
        std = torch.tensor(spoken.ear()[1].std)
        for picture, one in zip(shown, told, strict=True):
            change = (picture.adversarial - picture.original) / std
            assert float(change.abs().max()) == pytest.approx(one.strength, rel=1e-3)

    def test_an_audit_that_broke_nothing_has_none(
        self, client: TestClient, model: str, corpus: Corpus, context: WorkerContext
    ) -> None:
        job = audited(client, request(model, corpus, attacks=[{"type": "fgsm", "epsilon": [0]}]))
        assert exhibits(context, job["id"]) == []


class TestLongClips:
    """Of which six seconds are played and pictured."""

    @pytest.fixture
    def long(
        self, client: TestClient, model: str, context: WorkerContext, request: pytest.FixtureRequest
    ) -> tuple[list[Exhibit], list[Exhibited], str]:
        body = {"model": model, "labels": ["joy", "anger"], "attacks": [request.param]}
        answer = client.post(
            "/v1/audits",
            data={"request": json.dumps(body)},
            files=[
                ("file", (f"{name}.wav", spoken.wav(name, seconds=9.0), "audio/wav"))
                for name in ("joy", "anger")
            ],
        )
        assert answer.status_code == 202, answer.text
        shown: list[Exhibited] = []

        def noted(exhibited: Exhibited) -> Any:
            shown.append(exhibited)
            return NO_PICTURES.exhibit(exhibited)

        attempt = claimed(context, answer.json()["id"])
        drawn = artifacts.Pictures(NO_PICTURES.pair, NO_PICTURES.curves, noted)
        performed(context, attempt, pictures=drawn)
        return exhibits(context, attempt.job_id), shown, attempt.job_id

    @pytest.mark.parametrize("long", [FGSM, WAVE], indirect=True, ids=["log-mels", "waveform"])
    def test_are_played_and_pictured_for_six_seconds(
        self, long: tuple[list[Exhibit], list[Exhibited], str], context: WorkerContext
    ) -> None:
        found, pictures, job_id = long
        assert found
        for one, picture in zip(found, pictures, strict=True):
            start, end = one.excerpt_s
            assert end - start == pytest.approx(6.0)
            assert 0 <= start <= 3.0
            assert one.pictured_s == pytest.approx((start, end), abs=2 * HOP / SAMPLE_RATE)
            assert picture.start_s == pytest.approx(start, abs=HOP / SAMPLE_RATE)
            assert len(picture.original) * HOP / SAMPLE_RATE == pytest.approx(6.0, abs=0.02)
            assert one.sounds is not None
            sound = decode(content(context, job_id, one.sounds.adversarial))
            assert sound.duration_s == pytest.approx(6.0)
            assert one.recordings is not None
            whole = decode(content(context, job_id, one.recordings.adversarial))
            assert whole.duration_s == pytest.approx(9.0)


class TestWavs:
    def test_are_of_every_emotion_and_of_the_exhibits_and_none_twice(
        self, client: TestClient, model: str, corpus: Corpus, context: WorkerContext
    ) -> None:
        job = audited(client, request(model, corpus, attacks=[FGSM]))
        names = [one.name for one in files.read_artifacts(findings(context, job["id"]))]
        assert len(names) == len(set(names))
        found = {row["index"]: row for row in rows(context, job["id"])}
        written = {int(Path(name).stem.split("-")[1]) for name in names if name.endswith(".wav")}
        broken = {r["label"] for r in found.values() if any(p["success"] for p in r["attacked"])}
        assert {found[index]["label"] for index in written} == broken
        assert {one.index for one in exhibits(context, job["id"])} <= written

    @pytest.mark.parametrize("most", [1, 2, 7])
    def test_are_no_more_than_the_setting_allows_those_of_exhibits_first(
        self, client: TestClient, model: str, corpus: Corpus, context: WorkerContext, most: int
    ) -> None:
        few = context.settings.model_copy(update={"max_saved_wavs": most})
        limited = replace(context, settings=few)
        attempt = claimed(context, submit(client, request(model, corpus)))
        performed(limited, attempt)
        folder = findings(context, attempt.job_id) / files.ARTIFACTS
        assert len(list(folder.glob("*.wav"))) <= most
        found = exhibits(context, attempt.job_id)
        assert [one.recordings is not None for one in found] == [n < most // 2 for n in range(3)]
        assert [one.resynthesised is None for one in found] == [
            one.recordings is None for one in found
        ]


class TestPictures:
    def shown(self, **more: Any) -> Exhibited:
        generator = torch.Generator().manual_seed(0)
        original = torch.randn(60, MELS, generator=generator) - 8
        titles = {view: f"{view}: anger (0.91)" for view in VIEWS}
        notes = dict.fromkeys(VIEWS, "clip 12, labelled anger; easiest of n = 34 broken clips")
        given: dict[str, Any] = {
            "original": original,
            "adversarial": original + 0.1,
            "titles": titles,
            "notes": notes,
        }
        return Exhibited(**{**given, **more})

    def test_original_and_adversarial_share_one_scale_and_the_difference_is_about_zero(
        self,
    ) -> None:
        figures = draw_exhibit(self.shown())
        images = {view: figure.axes[0].get_images()[0] for view, figure in figures.items()}
        assert images["original"].get_clim() == images["adversarial"].get_clim()
        low, high = images["difference"].get_clim()
        assert low == -high
        assert high == pytest.approx(0.1 * 20 / np.log(10), rel=1e-3)
        colours: Colormap = images["difference"].get_cmap()
        assert colours.name == "RdBu_r"

    def test_colour_bars_are_in_db_and_titles_say_what_is_shown(self) -> None:
        figures = draw_exhibit(self.shown())
        bars = [figures[view].axes[1].get_ylabel() for view in VIEWS]
        assert bars == ["level in dB", "level in dB", "change in dB"]
        assert figures["original"].get_suptitle() == "original: anger (0.91)"
        assert figures["original"].axes[0].get_title().endswith("n = 34 broken clips")

    def test_are_png_and_svg_without_scripts_and_the_same_each_time(self) -> None:
        first, second = exhibit_pictures(self.shown()), exhibit_pictures(self.shown())
        assert first == second
        for picture in first.values():
            assert picture.png.startswith(b"\x89PNG\r\n")
            assert b"<svg" in picture.svg
            assert b"<script" not in picture.svg

    def test_of_a_long_clip_begin_where_its_excerpt_does(self) -> None:
        figure = draw_exhibit(self.shown(start_s=12.0))["original"]
        left, right = figure.axes[0].get_xlim()
        assert (left, right) == pytest.approx((12.0, 12.0 + 60 * HOP / SAMPLE_RATE))

    @pytest.mark.parametrize("text", ["$x^$", "怒り", "<b>&'\"", "--><script>", "x" * 500])
    def test_any_label_can_be_shown(self, text: str) -> None:
        told = dict.fromkeys(VIEWS, text)
        drawn = exhibit_pictures(self.shown(titles=told, notes=told))
        assert all(b"<script>" not in picture.svg for picture in drawn.values())

    def test_a_flat_clip_can_be_shown(self) -> None:
        flat = torch.zeros(60, MELS)
        assert exhibit_pictures(self.shown(original=flat, adversarial=flat))


def test_a_report_without_exhibits_is_still_one(
    job: dict[str, Any], context: WorkerContext
) -> None:
    """As those of audits that were made before there were any."""
    told = json.loads((findings(context, job["id"]) / files.REPORT).read_text())
    del told["exhibits"]
    assert Report.model_validate(told).exhibits == []
