"""What an audit says of a clip before any attack is what a prediction answers, long clips too."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

import models
from app.predictions import hooks
from app.registry.loaded import LoadedModel
from models.audio import decode
from models.audit import Audit, ClipFacts
from models.checkpoint import load_model
from models.features import LogMel
from models.serving import served
from models.victims import SpectrogramVictim
from tests.app.predictions.clips import good_wav

STARTER = Path(models.__path__[0]) / "pretrained" / "cnn4-single-cremad"
LENGTHS = (0.5, 3.0, 3.1, 8.0)
"""Seconds: of one, one, two and five windows of this model."""


class Posted:
    """The clips as they are posted."""

    audible = True

    def __init__(self) -> None:
        self.bodies = [good_wav(seconds, 0.05) for seconds in LENGTHS]

    def __len__(self) -> int:
        return len(self.bodies)

    def warning_codes(self, index: int) -> None:
        return None

    def facts(self, index: int) -> ClipFacts:
        return ClipFacts(f"{index}.wav", None, None, None, LENGTHS[index])

    def waveform(self, index: int) -> Tensor:
        return torch.from_numpy(decode(self.bodies[index]).samples)

    def log_mels(self, index: int) -> Tensor:
        features: Tensor = LogMel()(self.waveform(index))
        return features


def test_to_a_millionth() -> None:
    net, config = load_model(STARTER)
    clips, cpu = Posted(), torch.device("cpu")
    loaded = LoadedModel(
        id="starter",
        owner=None,
        config=config,
        standardizer=config.standardizer,
        network=served(net, cpu, config.frames),
        size=0,
    )
    limits = hooks.Limits(seconds=60, windows=100)
    heard = [hooks.decode_request(body, loaded, limits) for body in clips.bodies]
    assert [len(clip.x) for clip in heard] == [1, 1, 2, 5]
    predicted = hooks.unbatch(hooks.predict(loaded, hooks.batch(heard), cpu, 32), heard)

    victim = SpectrogramVictim(
        net, config.standardizer, config.labels, config.frames, front_end=config.front_end
    )
    clean = Audit(victim, clips, []).clean(range(4))
    for index, scores in enumerate(predicted):
        assert list(clean[index].scores.values()) == pytest.approx(scores, abs=1e-6)
        assert clean[index].label == config.labels[scores.index(max(scores))]
