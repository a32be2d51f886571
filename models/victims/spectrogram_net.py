"""Our networks as victims: z-scored log-mels, or the waveform through the front end."""

import math
from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor, nn

from models.features import HOP, SAMPLE_RATE, WINDOW, LogMel, Standardizer, tile, windows
from models.freezing import frozen
from models.front_ends import FRONT_ENDS
from models.objectives import Objective
from models.precision import full_float32
from models.serving import scorer
from models.threats import Domain
from models.victims.victim import Access, Gradient, Victim, View

Windows = Literal["all", "first"]
"""Which part of a long clip is scored: all its windows, averaged, as a prediction does; or the
first alone, as in the paper."""


class SpectrogramVictim:
    """A network on z-scored log-mels.

    Args:
        net: on any device, in any mode, not to be trained meanwhile. On a CPU its weights are laid
            out channels-last, in place; nothing else of it changes.
        standardizer: its z-score, on the same device and of the same type.
        labels: names of its classes.
        frames: its window.
        front_end: the name of its front end.
        windows: of a longer clip.
        exact: float32 proper on a GPU; False lets cuDNN round convolutions to ten bits (TF32).
    """

    def __init__(
        self,
        net: nn.Module,
        standardizer: Standardizer,
        labels: tuple[str, ...],
        frames: int,
        *,
        front_end: str = "logmel-1",
        windows: Windows = "all",
        exact: bool = True,
    ) -> None:
        self.net = net
        self.standardizer = standardizer
        self.labels = labels
        self.frames = frames
        self.windows = windows
        self.exact = exact
        self.device = standardizer.mean.device
        self.front_end = FRONT_ENDS[front_end]
        self.log_mel = LogMel().to(standardizer.mean)
        # Scores come from the network as it is served; gradients need the plain one.
        self.scorer = scorer(net, self.device, frames)
        if self.device.type == "cpu" and not any(one.is_mkldnn for one in net.buffers()):
            # A gradient takes a seventh less time. A served network is packed, and has none.
            net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    @property
    def sample_rate(self) -> int:
        """Hz."""
        return SAMPLE_RATE

    @property
    def access(self) -> Access:
        """Everything."""
        return Access.GRADIENTS

    @property
    def domains(self) -> frozenset[Domain]:
        """Both."""
        return frozenset({"features", "waveform"})

    def view(self, domain: Domain, others: Mapping[str, Victim] | None = None) -> View:
        """See :class:`models.victims.victim.Victim`."""
        if domain not in self.domains:
            raise LookupError(f"there is no view {domain!r}: give {' or '.join(self.domains)}")
        return SpectrogramView(self, domain, others or {})

    def features(self, log_mels: Tensor) -> Tensor:
        """Log-mels of a clip, (n, 64) → what is attacked in the view ``features``, z-scored.

        (frames, 64) for a clip that fits into the window, tiled; for a longer one its first window
        or all of it.
        """
        heard = self.front_end(log_mels.to(self.standardizer.mean))
        if self.windows == "first" or len(heard) <= self.frames:
            heard = tile(heard, self.frames)
        x: Tensor = self.standardizer(heard)
        return x

    def waveform(self, samples: Tensor) -> Tensor:
        """Samples of a clip, (n,) → what is attacked in the view ``waveform``: what is heard."""
        if self.windows == "first" and not self.front_end.looks_at_all:
            samples = samples[: (self.frames - 1) * HOP + WINDOW]
        return samples.to(self.standardizer.mean)

    def windows_of(self, shape: tuple[int, ...], domain: Domain) -> int:
        """How many of its windows a clip of this shape, ``(n, 64)`` or ``(samples,)``, has; fewer
        if the front end does not hear the ends of a recording."""
        n = shape[0] if domain == "features" else 1 + (shape[0] - WINDOW) // HOP
        if self.windows == "first" or n <= self.frames:
            return 1
        return 1 + math.ceil((n - self.frames) / (self.frames // 2))

    def shown(self, x: Tensor, domain: Domain) -> tuple[Tensor, list[int]]:
        """What the network sees of x, of either view.

        A clip that is shorter than the window is tiled.

        Returns:
            Windows of all clips, (windows, frames, 64) z-scored, and how many each clip has.
        """
        if domain == "features" and x.shape[1] == self.frames:
            return x, [1] * len(x)
        clips = list(x) if domain == "features" else self._heard(x)
        cut = [windows(clip, self.frames) for clip in clips]
        return torch.cat(cut), [len(each) for each in cut]

    def _heard(self, samples: Tensor) -> list[Tensor]:
        """Waveforms (batch, samples) → of each clip z-scored log-mels, (n, 64)."""
        log_mels = self.log_mel(samples)
        x = self.standardizer(self.front_end.frames(log_mels))
        clips = [each[self.front_end.heard(own)] for each, own in zip(x, log_mels, strict=True)]
        return [clip[: self.frames] for clip in clips] if self.windows == "first" else clips

    def logits(self, net: nn.Module, x: Tensor, domain: Domain) -> Tensor:
        """Of x, of either view: (batch, classes).

        Of a clip with several windows, it is the logarithm of their mean probability: its softmax
        is what a prediction answers.
        """
        shown, counts = self.shown(x, domain)
        each: Tensor = net(shown)
        if len(each) == len(x):
            return each
        return torch.stack([_together(part) for part in torch.split(each, counts)])


def _together(each: Tensor) -> Tensor:
    """Logits of a clip's windows, (windows, classes) → of the clip, (classes,)."""
    if len(each) == 1:
        return each[0]
    return each.log_softmax(dim=1).logsumexp(dim=0) - math.log(len(each))


class SpectrogramView:
    """One view of a :class:`SpectrogramVictim`; see :class:`models.victims.victim.View`."""

    def __init__(
        self, victim: SpectrogramVictim, domain: Domain, others: Mapping[str, Victim]
    ) -> None:
        self._victim = victim
        self._domain = domain
        self._others = others

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the classes."""
        return self._victim.labels

    @property
    def domain(self) -> Domain:
        """Which view this is."""
        return self._domain

    def scores(self, x: Tensor) -> Tensor:
        """Logits of the network as it is served."""
        victim = self._victim
        with torch.no_grad(), frozen(victim.scorer), full_float32(enabled=victim.exact):
            return victim.logits(victim.scorer, x, self._domain)

    def gradient(self, x: Tensor, objective: Objective) -> Gradient:
        """Through the plain network and, in the view ``waveform``, through the front end."""
        victim = self._victim
        with torch.enable_grad(), frozen(victim.net), full_float32(enabled=victim.exact):
            leaf = x.detach().requires_grad_(True)
            logits = victim.logits(victim.net, leaf, self._domain)
            values = objective.values(logits)
            (gradient,) = torch.autograd.grad(values.sum(), leaf)
        return Gradient(gradient, values.detach(), logits.detach())

    def subset(self, index: Tensor) -> "SpectrogramView":
        """The same view: nothing in it belongs to a clip."""
        return self

    def other(self, model: str) -> View:
        """The view of another model, for input in the coordinates of this one."""
        if model not in self._others:
            raise LookupError(f"the audit was given no model {model!r}")
        other = self._others[model]
        if other.labels != self.labels or other.sample_rate != self._victim.sample_rate:
            raise LookupError(
                f"model {model!r} has labels {', '.join(other.labels)} at {other.sample_rate} Hz,"
                f" this one {', '.join(self.labels)} at {self._victim.sample_rate} Hz"
            )
        if self._domain == "waveform" or not isinstance(other, SpectrogramVictim):
            return other.view(self._domain)
        if other.front_end is not self._victim.front_end:
            raise LookupError(
                f"model {model!r} has the front end {other.front_end.name}, this one"
                f" {self._victim.front_end.name}: features of one mean nothing to the other"
            )
        return _Restated(other, self._victim.standardizer)


class _Restated(SpectrogramView):
    """The log-mels of one model, seen by another that z-scores otherwise."""

    def __init__(self, victim: SpectrogramVictim, standardizer: Standardizer) -> None:
        super().__init__(victim, "features", {})
        self._given = standardizer
        own = victim.standardizer
        self._same = torch.equal(own.mean, standardizer.mean) and torch.equal(
            own.std, standardizer.std
        )

    def scores(self, x: Tensor) -> Tensor:
        return super().scores(self._restate(x))

    def gradient(self, x: Tensor, objective: Objective) -> Gradient:
        told = super().gradient(self._restate(x), objective)
        if self._same:
            return told
        # d/dx of f((x * std + mean - mean') / std') is f' * std / std'
        factor = self._given.std / self._victim.standardizer.std
        return told._replace(gradient=told.gradient * factor)

    def _restate(self, x: Tensor) -> Tensor:
        if self._same:
            return x
        own: Tensor = self._victim.standardizer(self._given.inverse(x))
        return own
