"""The model of an audit as its attacks see it, in a forecast and in a worker."""

from typing import Any

import pytest
import torch
from sqlalchemy.orm import Session

from app.audits.sample import sample
from app.audits.schemas import AuditRequest
from app.audits.victim import batch_size, count_windows, load_victim
from app.persistence.storage import Storage
from app.registry import service as registry
from app.settings import Settings
from models.corpus.manifest import Clip
from models.features import SAMPLE_RATE
from models.victims import SpectrogramVictim


@pytest.mark.parametrize(("frames", "clips"), [(187, 16), (373, 16), (3000, 8), (100_000, 1)])
def test_a_batch_has_as_many_clips_as_their_frames_allow(
    settings: Settings, frames: int, clips: int
) -> None:
    assert (settings.audit_batch, settings.max_batch_frames) == (16, 24_000)
    assert batch_size(settings, frames) == clips


class TestLoadVictim:
    @pytest.fixture
    def load(self, session: Session, storage: Storage, model: str) -> Any:
        def load(**asked: Any) -> SpectrogramVictim:
            entry = registry.get(session, storage, model, owner="local")
            attacks = [{"type": "fgsm", "epsilon": [0.1]}]
            body = {"model": model, "corpus": "c", "attacks": attacks, **asked}
            request = AuditRequest.model_validate(body)
            return load_victim(storage, entry, request, torch.device("cpu"))

        return load

    def test_it_is_as_the_request_wants_it(self, load: Any) -> None:
        assert (load().windows, load().exact) == ("all", True)
        assert load(windows="first").windows == "first"
        assert load(precision="tf32").exact is False
        assert load().labels == ("anger", "joy", "sadness")

    def test_windows_are_counted_as_they_are_scored(self, load: Any) -> None:
        """A window is 32 frames, and the next one begins 16 later: 256 samples each."""
        window = (512 + 31 * 256) / SAMPLE_RATE
        seconds = [0.01, window, window + 0.016, 2 * window]
        assert count_windows(load(), seconds) == 1 + 1 + 2 + 4
        assert count_windows(load(windows="first"), seconds) == 4


def test_a_sample_is_the_same_in_a_forecast_and_in_a_worker_and_has_each_emotion() -> None:
    labels = ("anger", "joy")
    clips = [Clip(f"{n}.wav", "s", "f", labels[n % 2], "", 1.0, "test") for n in range(20)]
    drawn = sample(clips, labels, 6, seed=3)
    assert drawn == sorted(drawn) == sample(clips, labels, 6, seed=3)
    assert [n % 2 for n in drawn].count(0) == 3
    assert sample(clips, labels, None, seed=3) == list(range(20))
    assert drawn != sample(clips, labels, 6, seed=4)
