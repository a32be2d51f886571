"""What an audit will cost: passes exactly, seconds roughly."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import ClassVar, Literal

import pytest
import torch
from torch import Tensor, nn

from models.attacks import Attack, TargetLabel
from models.attacks.fgsm import Fgsm
from models.attacks.noise import Noise
from models.attacks.pgd import Pgd
from models.audit.forecast import Forecast, Speed, calibrate, forecast, passes, total
from models.features import HOP, WINDOW
from models.rng import Rng
from models.victims import Access, Cost, View
from tests.models.attacks.table import OTHER_MODEL, Case, every_attack
from tests.models.audit.recordings import (
    FRAMES,
    LABELS,
    Bands,
    Recordings,
    Shift,
    audit,
    rows_of,
    sounds,
    victim,
)


@dataclass
class Counted:
    """Told of all passes, as a worker is."""

    cost: Cost = field(default_factory=Cost)

    def __call__(self, forwards: int, backwards: int) -> None:
        self.cost += Cost(forwards, backwards)


class Momentum(Shift):
    """Steps along the sum of all gradients so far."""

    type: Literal["momentum"] = "momentum"  # type: ignore[assignment]
    steps: int = 3

    def run_cost(self, n_classes: int) -> Cost:
        return Cost(self.steps, self.steps)

    def run(self, view: View, x: Tensor, y: Tensor, radius: Tensor, rng: Rng) -> Tensor:
        point, momentum = x.clone(), torch.zeros_like(x)
        for _ in range(self.steps):
            gradient = view.gradient(point, self.objective(y)).gradient
            momentum += gradient / gradient.abs().flatten(1).sum(dim=1)[:, None, None]
            change = point + radius[:, None, None] / self.steps * momentum.sign() - x
            point = x + self.threat.shrink(change, radius)
        return point


class Search(Shift):
    """Asks for scores until a clip breaks, or so often."""

    type: Literal["search"] = "search"  # type: ignore[assignment]
    needs: ClassVar[Access] = Access.SCORES
    exact_cost: ClassVar[bool] = False
    queries: int = 6

    def run_cost(self, n_classes: int) -> Cost:
        return Cost(forwards=self.queries, queries=self.queries)

    def run(self, view: View, x: Tensor, y: Tensor, radius: Tensor, rng: Rng) -> Tensor:
        found = x.clone()
        standing = torch.arange(len(x))
        for _ in range(self.queries):
            if not len(standing):
                break
            tried = x[standing] + radius[standing, None, None] * rng.subset(standing).signs(
                x.shape[1:]
            )
            broken = view.subset(standing).scores(tried).argmax(dim=1) != y[standing]
            found[standing] = tried
            standing = standing[~broken]
        return found


def spent(
    attacks: Sequence[Attack],
    windows: Literal["all", "first"] = "all",
    labels: tuple[str, ...] = LABELS,
) -> Cost:
    """Passes of a whole audit, resynthesised sounds and all."""
    counted = Counted()
    clips = Recordings(sounds(), [labels[n % len(labels)] for n in range(14)])
    net = Bands(len(labels)).eval()
    one = audit(*attacks, clips=clips, net=net, windows=windows, labels=labels, on_pass=counted)
    rows = rows_of(one)
    found = [one for row in rows for one in (*row.attacked, *row.minimum)]
    costs = [one.cost.passes() for row in rows for one in row.attacked]
    costs += [one.cost.passes() for row in rows for one in row.minimum]
    of_rows = sum(costs, start=Cost(forwards=14))
    assert len(found) == len(costs)
    assert (of_rows.forwards, of_rows.backwards) == (counted.cost.forwards, counted.cost.backwards)
    return of_rows


EXACT: dict[str, Attack] = {
    "fgsm": Fgsm(epsilon=(0.0, 0.1, 0.3)),
    "pgd": Pgd(epsilon=(0.1, 0.3), steps=3, restarts=2),
    "pgd on waveforms": Pgd(domain="waveform", snr_db=(30.0, 20.0), steps=2),
    "momentum": Momentum(epsilon=(0.1, 0.3)),
    "noise": Noise(epsilon=(0.1, 0.3), draws=4),
    "fgsm to all targets": Fgsm(epsilon=(0.1, 0.3), goal="all_targets"),
    "pgd to all targets": Pgd(epsilon=(0.1,), steps=2, goal="all_targets"),
}


class TestPasses:
    @pytest.mark.parametrize("windows", ["all", "first"])
    @pytest.mark.parametrize("name", EXACT)
    def test_are_exactly_those_that_are_made(
        self, name: str, windows: Literal["all", "first"]
    ) -> None:
        assert total([EXACT[name]], 14, 3) == spent([EXACT[name]], windows)

    @pytest.mark.parametrize("n_classes", [2, 3, 5])
    def test_towards_all_targets_too_whatever_the_number_of_labels(self, n_classes: int) -> None:
        attacks = [Fgsm(epsilon=(0.1, 0.2), goal="all_targets")]
        labels = ("anger", "fear", "joy", "calm", "doubt")[:n_classes]
        assert total(attacks, 14, n_classes) == spent(attacks, labels=labels)

    def test_of_several_attacks_are_the_sum(self) -> None:
        attacks = list(EXACT.values())
        expected = total(attacks, 14, 3)
        assert expected == spent(attacks)
        each = sum((passes(attack, 3) for attack in attacks), start=Cost(forwards=1))
        assert expected == each * 14

    @pytest.mark.parametrize(
        "attack",
        [
            Search(epsilon=(0.1, 0.5)),
            Fgsm(epsilon=(0.1, 0.5), minimum=True),
            Pgd(epsilon=(0.4,), steps=2, minimum=True),
            Search(epsilon=(0.5,), minimum=True),
            Fgsm(epsilon=(0.1, 0.5), goal=TargetLabel(label="joy")),  # its own are left alone
        ],
        ids=lambda attack: f"{attack.type} {attack.minimum}",
    )
    def test_of_an_attack_that_depends_on_what_it_finds_are_a_bound(self, attack: Attack) -> None:
        bound, found = total([attack], 14, 3), spent([attack])
        assert found.within(bound)
        assert found != bound

    def test_of_no_attack_are_the_clean_scores(self) -> None:
        assert total([], 14, 3) == Cost(forwards=14) == spent([])


class TestEveryAttack:
    LABELS: ClassVar = ("anger", "calm", "sad")
    CLIPS: ClassVar = Recordings(sounds(4), ["anger", "calm", "sad", None])

    @every_attack()
    def test_is_foretold(self, case: Case) -> None:
        """What is registered later is held to it here as well."""
        counted = Counted()
        others = {OTHER_MODEL: victim(self.CLIPS, labels=self.LABELS)}
        one = audit(
            case.attack, clips=self.CLIPS, labels=self.LABELS, others=others, on_pass=counted
        )
        rows_of(one)
        told = forecast([case.attack], 4, 4, one.victim, clock=count(step=1.0).__next__)
        if told.exact:
            assert (counted.cost.forwards, counted.cost.backwards) == (
                told.cost.forwards, told.cost.backwards,
            )  # fmt: skip
        else:
            assert counted.cost.within(told.cost)


class TestForecast:
    def forecast(self, *attacks: Attack) -> Forecast:
        return forecast(attacks, 20, 14, CPU)

    def test_tells_passes_seconds_and_the_device(self) -> None:
        attack = EXACT["pgd"]
        found = self.forecast(attack)
        assert found.cost == total([attack], 14, 3)
        assert found.exact
        assert found.seconds > 0
        told = found.to_dict()
        assert told.keys() == {
            "clips", "forwards", "backwards", "queries", "exact", "seconds", "device",
        }  # fmt: skip
        assert (told["clips"], told["device"]) == (14, "cpu")
        assert (told["forwards"], told["backwards"]) == (found.cost.forwards, found.cost.backwards)

    @pytest.mark.parametrize(
        ("attack", "exact"),
        [
            (Fgsm(epsilon=(0.1,)), True),
            (Fgsm(epsilon=(0.1,), minimum=True), False),
            (Search(epsilon=(0.1,)), False),
            (Fgsm(epsilon=(0.1,), goal=TargetLabel(label="joy")), False),
        ],
        ids=["grid", "minimum", "search", "target"],
    )
    def test_says_whether_it_is_exact(self, attack: Attack, exact: bool) -> None:
        assert self.forecast(Fgsm(epsilon=(0.1,)), attack).exact == exact

    def test_weighs_passes_by_what_they_take(self) -> None:
        slow = SlowVictim()
        features, waveform = slow.speed(FEATURES_BATCH), slow.speed(9)  # three seconds
        # A clean score; two gradients, a last score and the answer's; and all of that on waveforms.
        attacks = [
            Pgd(epsilon=(0.1,), steps=2),
            Pgd(domain="waveform", snr_db=(20.0,), steps=2),
        ]
        each = features.forward + sum(
            2 * speed.gradient + 2 * speed.forward for speed in (features, waveform)
        )
        assert slow.forecast(*attacks, windows=1).seconds == pytest.approx(each)
        # A long clip counts its windows, in seconds alone.
        long = slow.forecast(*attacks, windows=7)
        assert long.seconds == pytest.approx(7 * each)
        assert long.cost == total(attacks, 1, 3)

    def test_its_pace_gives_the_seconds_back(self) -> None:
        found = SlowVictim().forecast(*EXACT.values(), windows=1)
        only = found.cost.forwards - found.cost.backwards
        seconds = only * found.pace.forward + found.cost.backwards * found.pace.gradient
        assert seconds == pytest.approx(found.seconds)


FEATURES_BATCH = 4


class SlowVictim:
    """A model that takes so long: .03 s a pass and .01 s a window of it, there and as long back."""

    def __init__(self, windows: Literal["all", "first"] = "all") -> None:
        self.now = 0.0
        self.victim = victim(Recordings(sounds()), self.Net(self).eval(), windows=windows)

    class Net(nn.Module):
        """`Bands` that moves the clock on."""

        def __init__(self, owner: "SlowVictim") -> None:
            super().__init__()
            self.bands = Bands()
            self.owner = [owner]

        def forward(self, x: Tensor) -> Tensor:
            self.owner[0].now += (0.03 + 0.01 * len(x)) * (2 if x.requires_grad else 1)
            logits: Tensor = self.bands(x)
            return logits

    def clock(self) -> float:
        return self.now

    def speed(self, batch: int) -> Speed:
        """Of a window, in a batch of so many."""
        forward = 0.03 / batch + 0.01
        return Speed(forward, 2 * forward)

    def forecast(self, *attacks: Attack, windows: int) -> Forecast:
        return forecast(attacks, windows, 1, self.victim, FEATURES_BATCH, self.clock)

    def calibrate(
        self, domain: Literal["features", "waveform"], batch: int, seconds: float = 3.0
    ) -> tuple[float, float]:
        found = calibrate(self.victim, domain, batch, seconds, self.clock)
        return found.forward, found.gradient


CPU = victim(Recordings(sounds()))


class TestCalibration:
    @pytest.mark.parametrize("batch", [1, 3, 16])
    def test_is_seconds_of_a_window_in_a_batch(self, batch: int) -> None:
        forward = 0.03 / batch + 0.01
        found = SlowVictim().calibrate("features", batch)
        assert found == pytest.approx((forward, 2 * forward))

    def test_a_waveform_is_alone_in_its_batch(self) -> None:
        window = ((FRAMES - 1) * HOP + WINDOW) / 16_000
        assert SlowVictim().calibrate("waveform", 3, window) == pytest.approx((0.04, 0.08))
        assert SlowVictim().calibrate("waveform", 3, 0.001) == pytest.approx((0.04, 0.08))

    def test_of_a_longer_waveform_counts_the_windows_that_are_scored(self) -> None:
        samples = (FRAMES // 2 * 3 + FRAMES - 1) * HOP + WINDOW  # of four windows
        found = SlowVictim("all").calibrate("waveform", 3, samples / 16_000)
        assert found == pytest.approx((0.07 / 4, 2 * 0.07 / 4))
        found = SlowVictim("first").calibrate("waveform", 3, samples / 16_000)
        assert found == pytest.approx((0.04, 0.08))

    def test_of_a_real_clock_is_positive(self) -> None:
        found = calibrate(CPU, "features", 2)
        assert 0 < found.forward < 1
        assert 0 < found.gradient < 1
