"""A model as an attacker sees it.

A victim offers *views*: the same model behind another kind of input. In the view ``features`` a
clip is what the network sees, z-scored log-mels; in the view ``waveform`` it is the recording, and
the front end is part of what is attacked. An attack knows nothing of a model but its view.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple, Protocol, runtime_checkable

import torch
from torch import Tensor

from models.objectives import Objective
from models.threats import Domain


class Access(IntEnum):
    """What of a model an attacker can ask for; each includes those before it."""

    LABELS = 1
    SCORES = 2
    GRADIENTS = 3


class Gradient(NamedTuple):
    """What one forward and one backward pass tell.

    Attributes:
        gradient: of the **summed** objective at the input, (batch, ...): each clip's is then the
            same in every batch.
        values: the objective, (batch,).
        logits: (batch, classes).
    """

    gradient: Tensor
    values: Tensor
    logits: Tensor


@runtime_checkable
class View(Protocol):
    """One kind of input of a model, frozen: asking it changes nothing.

    The rows of ``x`` are the clips that the view was made for, in their order.
    """

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the classes, in the order of the logits."""

    @property
    def domain(self) -> Domain:
        """Which kind of input."""

    def scores(self, x: Tensor) -> Tensor:
        """Logits (batch, classes) of x (batch, ...), without a gradient."""

    def gradient(self, x: Tensor, objective: Objective) -> Gradient:
        """The gradient of an objective at ``x``, (batch, ...)."""

    def subset(self, index: Tensor) -> "View":
        """The view of some of its clips, (n,) int64."""

    def other(self, model: str) -> "View":
        """The same view of another model, for attacks that are crafted there.

        Raises:
            LookupError: the victim was given no such model, or one that does not understand the
                same input and the same labels.
        """


class Victim(Protocol):
    """A model that can be audited."""

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the classes, in the order of the logits."""

    @property
    def sample_rate(self) -> int:
        """Of the waveforms that it takes, Hz."""

    @property
    def access(self) -> Access:
        """The most that it answers."""

    @property
    def domains(self) -> frozenset[Domain]:
        """The views that it offers."""

    def view(self, domain: Domain, others: Mapping[str, "Victim"] | None = None) -> View:
        """One of them.

        Args:
            others: victims whose views :meth:`View.other` gives, by name.

        Raises:
            LookupError: it offers no such view.
        """


@dataclass(frozen=True)
class Cost:
    """Passes of one clip through a model, or of all clips together.

    Attributes:
        forwards: forward passes, those of backward passes and of queries among them.
        backwards: backward passes to the input.
        queries: forward passes of an attack that sees nothing but scores.
    """

    forwards: int = 0
    backwards: int = 0
    queries: int = 0

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(
            self.forwards + other.forwards,
            self.backwards + other.backwards,
            self.queries + other.queries,
        )

    def __mul__(self, times: int) -> "Cost":
        return Cost(self.forwards * times, self.backwards * times, self.queries * times)

    def within(self, limit: "Cost") -> bool:
        """Whether nothing is more than in ``limit``."""
        return (
            self.forwards <= limit.forwards
            and self.backwards <= limit.backwards
            and self.queries <= limit.queries
        )

    def to_dict(self) -> dict[str, int]:
        """As reports show it."""
        return {
            "forwards": self.forwards,
            "backwards": self.backwards,
            "queries": self.queries,
        }


class BudgetExceeded(RuntimeError):
    """An attack asked a model for more than it had said it would."""


class AccessDenied(RuntimeError):
    """An attack asked a model for more than it may see."""


class OnPass(Protocol):
    """Told of every pass: how many clips went forwards, and how many backwards."""

    def __call__(self, forwards: int, backwards: int) -> None: ...


class Meter:
    """Counts what an attack asks of models, clip by clip, and enforces the attack's own budget.

    Args:
        clips: how many.
        limit: the most for one clip; None for none.
        on_pass: told of each pass before it is made; what it raises ends the attack between two
            passes.
    """

    def __init__(
        self, clips: int, limit: Cost | None = None, on_pass: OnPass | None = None
    ) -> None:
        self._limit = limit
        self._on_pass = on_pass
        self._spent = torch.zeros(clips, 3, dtype=torch.int64)
        """Forwards, backwards and queries of each clip."""

    def costs(self) -> list[Cost]:
        """What was spent on each clip."""
        return [Cost(*clip) for clip in self._spent.tolist()]

    def note(self, clips: Tensor, *, backward: bool, query: bool) -> None:
        """A pass of these clips, (n,) int64, is about to be made; one may be in it several times.

        Raises:
            BudgetExceeded: one of the clips has had what the attack had said it would need. The
                pass is not counted, and must not be made.
        """
        once = torch.tensor([1, int(backward), int(query)]).expand(len(clips), 3)
        spent = self._spent.index_add(0, clips, once)
        if self._limit is not None and len(clips):
            most = Cost(*spent.amax(dim=0).tolist())
            if not most.within(self._limit):
                raise BudgetExceeded(
                    f"an attack asks for {most} of a clip and had said {self._limit}"
                )
        if self._on_pass is not None:
            self._on_pass(len(clips), len(clips) if backward else 0)
        self._spent = spent


class MeteredView:
    """A view whose every pass is counted; what an attack is given.

    Args:
        view: of the model.
        meter: counts.
        access: what of the model the attack may see; with less than gradients each forward pass is
            a query.
        clips: the rows of the meter that the rows of ``x`` are, (batch,) int64 on the CPU.
    """

    def __init__(self, view: View, meter: Meter, access: Access, clips: Tensor) -> None:
        self._view = view
        self._meter = meter
        self._access = access
        self._clips = clips

    @property
    def labels(self) -> tuple[str, ...]:
        """See :class:`View`."""
        return self._view.labels

    @property
    def domain(self) -> Domain:
        """See :class:`View`."""
        return self._view.domain

    def scores(self, x: Tensor) -> Tensor:
        """See :class:`View`; a forward pass of each clip.

        Raises:
            AccessDenied, BudgetExceeded: the attack may not.
        """
        self._count(x, Access.SCORES)
        return self._view.scores(x)

    def gradient(self, x: Tensor, objective: Objective) -> Gradient:
        """See :class:`View`; a forward and a backward pass of each clip.

        Raises:
            AccessDenied, BudgetExceeded: the attack may not.
        """
        self._count(x, Access.GRADIENTS)
        return self._view.gradient(x, objective)

    def subset(self, index: Tensor) -> "MeteredView":
        """See :class:`View`."""
        clips = self._clips[index.cpu()]
        return MeteredView(self._view.subset(index), self._meter, self._access, clips)

    def other(self, model: str) -> "MeteredView":
        """See :class:`View`; its passes count as well. Whoever attacks owns it and sees all."""
        return MeteredView(self._view.other(model), self._meter, Access.GRADIENTS, self._clips)

    def _count(self, x: Tensor, asked: Access) -> None:
        if asked > self._access:
            raise AccessDenied(f"an attack that needs {self._access.name} asked for {asked.name}")
        if len(x) != len(self._clips):
            raise ValueError(
                f"x has {len(x)} rows, the view is of {len(self._clips)} clips: take a subset"
            )
        self._meter.note(
            self._clips,
            backward=asked == Access.GRADIENTS,
            query=self._access < Access.GRADIENTS,
        )


def metered(view: View, meter: Meter, access: Access, clips: int) -> MeteredView:
    """The view of so many clips for an attack with this access, counted by ``meter``."""
    return MeteredView(view, meter, access, torch.arange(clips))
