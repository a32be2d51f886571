"""The five steps from the bytes of a request to the bytes of its answer, each a function.

    decode_request → batch → predict → unbatch → encode_response

Where a model has a detector, `detect` and `unbatch_detected` stand beside `predict` and `unbatch`.
The first four run in an inference lane (`decode_request` in a pool of threads where a GPU does the
rest), `encode_response` in the event loop. None of them knows of HTTP or of threads.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from math import fsum

import torch
from torch import Tensor

from app.predictions.schemas import Score
from app.registry.loaded import LoadedModel
from models.adversarial_score import probabilities as probabilities_of
from models.audio import AudioError, AudioWarning, Channel, decode, level_warnings
from models.features import LogMel, windows

_log_mel = LogMel()


@dataclass(frozen=True)
class Limits:
    """What one clip may be."""

    seconds: float
    windows: int


@dataclass(eq=False)
class Clip:
    """A clip as a network sees it.

    Attributes:
        x: z-scored log-mels, (windows, frames, mels).
        duration_s: length of the source, seconds.
        warnings: what the user should know although the clip was accepted.
        decode_ms, features_ms: time that the two steps took.
    """

    x: Tensor
    duration_s: float
    warnings: tuple[AudioWarning, ...]
    decode_ms: float
    features_ms: float


@torch.inference_mode()
def decode_request(
    body: bytes, model: LoadedModel, limits: Limits, channel: Channel = "loudest"
) -> Clip:
    """The bytes of a recording → windows of z-scored log-mels.

    Raises:
        AudioError: the audio is not accepted, or has more windows than allowed.
    """
    began = time.perf_counter()
    waveform = decode(body, max_seconds=limits.seconds, channel=channel)
    decoded = time.perf_counter()
    features = _log_mel(torch.from_numpy(waveform.samples))
    x = windows(model.standardizer(model.front_end(features)), model.config.frames)
    if len(x) > limits.windows:
        raise AudioError(
            "too_long",
            f"The clip lasts {waveform.duration_s:.1f} s, {len(x)} windows of this model; at most"
            f" {limits.windows} are accepted. Cut it into shorter ones.",
        )
    ended = time.perf_counter()
    return Clip(
        x=x,
        duration_s=waveform.duration_s,
        warnings=(
            *waveform.warnings,
            *level_warnings(waveform.samples, model.config.levels_dbfs),
        ),
        decode_ms=1000 * (decoded - began),
        features_ms=1000 * (ended - decoded),
    )


def batch(clips: Sequence[Clip]) -> Tensor:
    """The clips' windows in one tensor, (windows, frames, mels)."""
    return clips[0].x if len(clips) == 1 else torch.cat([clip.x for clip in clips])


@torch.inference_mode()
def predict(model: LoadedModel, x: Tensor, device: torch.device, most: int) -> Tensor:
    """Probabilities of each window, (windows, classes) float64 on the CPU.

    Args:
        x: (windows, frames, mels) on the CPU.
        most: windows that go through the network at one time.
    """
    logits = [model.network(part.to(device)) for part in torch.split(x, most)]
    together = logits[0] if len(logits) == 1 else torch.cat(logits)
    return together.double().softmax(dim=1).cpu()


@torch.inference_mode()
def detect(model: LoadedModel, x: Tensor, device: torch.device, most: int) -> Tensor | None:
    """The adversarial score of each window, (windows,) float64 on the CPU; None without a detector.

    Args:
        x, most: as of `predict`.
    """
    detector = model.detector
    if detector is None:
        return None
    logits = torch.cat([detector(part.to(device)) for part in torch.split(x, most)])
    return probabilities_of(logits).cpu()


def unbatch_detected(scores: Tensor | None, clips: Sequence[Clip]) -> list[float | None]:
    """Each clip's adversarial score: that of its most suspicious window. NaN where one is NaN."""
    if scores is None:
        return [None] * len(clips)
    parts = torch.split(scores, [len(clip.x) for clip in clips])
    return [float(part.amax()) for part in parts]


def unbatch(probabilities: Tensor, clips: Sequence[Clip]) -> list[list[float]]:
    """Each clip's probabilities: the mean of its windows'. NaN where the network gave NaN."""
    rows: list[list[float]] = probabilities.tolist()
    if len(rows) == len(clips):
        return rows
    windows = iter(rows)
    return [_mean(list(islice(windows, len(clip.x)))) for clip in clips]


def _mean(rows: list[list[float]]) -> list[float]:
    return [fsum(column) / len(rows) for column in zip(*rows, strict=True)]


def encode_response(
    probabilities: Sequence[float], labels: Sequence[str], top_k: int | None = None
) -> list[Score]:
    """The ``top_k`` most probable labels, or all, most probable first."""
    ranked = sorted(zip(labels, probabilities, strict=True), key=lambda pair: -pair[1])
    return [{"label": label, "score": score} for label, score in ranked[:top_k]]
