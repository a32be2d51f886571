"""What an audit counts, and that it trusts no attack."""

import gc
import weakref
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, ClassVar, Literal

import pytest
import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from models.architectures import build
from models.attacks import ATTACKS, Attack, Crafted, TargetLabel
from models.attacks.fgsm import Fgsm
from models.attacks.noise import Noise
from models.attacks.pgd import Pgd
from models.audit import Audit, AuditError
from models.audit.evidence import AttackedPrediction, Distortion
from models.audit.runner import without_direction
from models.features import HOP, MELS, WINDOW, LogMel, Standardizer, tile, windows
from models.playback import fold, play, snr_db
from models.rng import Rng
from models.threats import ThreatModel
from models.victims import Access, AccessDenied, BudgetExceeded, Cost, SpectrogramVictim, View
from tests.models.audit.recordings import (
    FRAMES,
    LABELS,
    STEP,
    Bands,
    Counting,
    Nothing,
    Recordings,
    Shift,
    attacked,
    audit,
    inputs,
    rows_of,
    sounds,
)

CONV: Any = torch.backends.cudnn.conv  # type: ignore[attr-defined]  # there at run time
GRID = (0.0, 0.05, 0.2, 1.0)
LONG = (FRAMES - 1) * HOP + WINDOW
"""Samples of a clip that just fills the window."""


def features(one: Audit) -> list[Tensor]:
    """What the network sees of each clip, worked out from the recordings."""
    victim, clips = one.victim, one.clips
    seen = [victim.standardizer(LogMel()(clips.waveform(index))) for index in range(len(clips))]
    if victim.windows == "first":
        return [tile(x, FRAMES) for x in seen]
    return [x if len(x) > FRAMES else tile(x, FRAMES) for x in seen]


def gradient(net: nn.Module, x: Tensor, label: int) -> Tensor:
    """Of the log-loss at one input of one window."""
    leaf = x[None].clone().requires_grad_(True)
    loss = functional.cross_entropy(net(leaf), torch.tensor([label]))
    return torch.autograd.grad(loss, leaf)[0][0]


def sized(outcome: AttackedPrediction) -> Distortion:
    """How large the change was, which is known of every attack."""
    assert outcome.distortion is not None
    return outcome.distortion


class TestClean:
    def test_scores_are_the_probabilities_of_the_network_in_eval_mode(self) -> None:
        net = Bands().train()
        one = audit(net=net, windows="first")
        expected = Bands().eval()(torch.stack(features(one))).softmax(dim=1)
        clean = one.clean(range(14))
        assert net.training
        for index, row in enumerate(expected.tolist()):
            assert list(clean[index].scores.values()) == pytest.approx(row, abs=1e-6)
            assert clean[index].label == LABELS[row.index(max(row))]

    def test_a_long_clip_has_the_mean_probabilities_of_all_its_windows(self) -> None:
        """As a prediction has; see app.predictions."""
        one = audit(windows="all")
        clean = one.clean(range(14))
        counts = set()
        for index in range(14):
            cut = windows(one.victim.standardizer(LogMel()(one.clips.waveform(index))), FRAMES)
            expected = Bands().eval()(cut).double().softmax(dim=1).mean(dim=0).tolist()
            assert list(clean[index].scores.values()) == pytest.approx(expected, abs=1e-6)
            counts.add(len(cut))
        assert counts == {1, 2, 3}

    def test_its_first_window_alone_counts_where_that_is_asked_for(self) -> None:
        first, every = (audit(windows=which).clean(range(14)) for which in ("first", "all"))
        short = [len(LogMel()(sound)) <= FRAMES for sound in sounds()]
        assert [first[index] == every[index] for index in range(14)] == short

    def test_scores_of_a_fast_view_are_those_of_the_plain_network(self) -> None:
        """On a CPU, CNN-4 is scored as it is served, and attacked as it is."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(4)
            net = build("cnn4", 3).train()
        one = audit(Fgsm(epsilon=(0.0, 0.1)), clips=Recordings(sounds(2)), net=net)
        rows = rows_of(one)
        assert all(module.training for module in net.modules())
        assert all(parameter.requires_grad for parameter in net.parameters())
        net.eval()
        for index, (row, x) in enumerate(zip(rows, features(one), strict=True)):
            moved = x + 0.1 * gradient(net, x, index).sign()
            with torch.no_grad():
                clean, after = net(torch.stack([x, moved])).softmax(dim=1).tolist()
            assert list(row.clean.scores.values()) == pytest.approx(clean, abs=1e-4)
            assert list(row.attacked[1].scores.values()) == pytest.approx(after, abs=1e-3)

    def test_says_the_same_on_any_device(self, device: torch.device) -> None:
        clips, attack = Recordings(sounds()), Fgsm(epsilon=GRID)
        scale = clips.standardizer().to(device)
        victim = SpectrogramVictim(Bands().to(device), scale, LABELS, FRAMES)
        found = rows_of(Audit(victim, clips, [attack], batch=4))
        for row, expected in zip(found, rows_of(audit(attack, clips=clips)), strict=True):
            for ours, theirs in zip(
                (row.clean, *row.attacked), (expected.clean, *expected.attacked), strict=True
            ):
                assert ours.scores == pytest.approx(theirs.scores, abs=1e-4)
                assert ours.label == theirs.label
            for ours, theirs in zip(row.attacked, expected.attacked, strict=True):
                assert (ours.audio is None) == (theirs.audio is None)
                if ours.audio is not None and theirs.audio is not None:
                    assert ours.audio.label == theirs.audio.label
                    assert ours.audio.snr_db == pytest.approx(theirs.audio.snr_db, abs=0.02)


class TestPrecision:
    """Scores that are reported are computed in float32 proper, whatever the process allows."""

    @pytest.fixture(autouse=True)
    def tf32(self) -> Iterator[None]:
        """As torch has it where nobody asked for anything else."""
        before = CONV.fp32_precision
        CONV.fp32_precision = "tf32"
        yield
        CONV.fp32_precision = before

    @pytest.mark.parametrize(("exact", "precision"), [(True, "ieee"), (False, "tf32")])
    def test_every_pass_has_it_also_the_gradients(self, exact: bool, precision: str) -> None:
        noted: list[str] = []

        class Asked(Bands):
            def forward(self, x: Tensor) -> Tensor:
                noted.append(CONV.fp32_precision)
                return super().forward(x)

        clips = Recordings(sounds(2))
        victim = SpectrogramVictim(
            Asked().eval(), clips.standardizer(), LABELS, FRAMES, windows="first", exact=exact
        )
        clips.audible = False
        attacked(Audit(victim, clips, [Fgsm(epsilon=(0.1, 0.2))]))
        assert noted == [precision] * 4  # clean, the gradient, two strengths
        assert CONV.fp32_precision == "tf32"


class TestWhatIsAttacked:
    def test_an_epsilon_of_zero_changes_nothing(self) -> None:
        for row in rows_of(audit(Fgsm(epsilon=(0.0,)))):
            (outcome,) = row.attacked
            assert (outcome.label, outcome.scores) == (row.clean.label, row.clean.scores)
            assert not outcome.no_direction
            assert (sized(outcome).linf, sized(outcome).l2) == (0, 0)

    def test_is_the_true_label(self) -> None:
        one = audit(Fgsm(epsilon=(0.1,)), windows="first")
        for index, (x, found) in enumerate(zip(features(one), *inputs(one), strict=True)):
            expected = x + 0.1 * gradient(Bands().eval(), x, index % 3).sign()
            torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)

    def test_is_the_prediction_where_that_is_asked_for(self) -> None:
        one = audit(Fgsm(epsilon=(0.1,), labels="predicted"), windows="first")
        seen = features(one)
        predicted = Bands().eval()(torch.stack(seen)).argmax(dim=1).tolist()
        assert predicted != [index % 3 for index in range(14)]
        for x, label, found in zip(seen, predicted, *inputs(one), strict=True):
            expected = x + 0.1 * gradient(Bands().eval(), x, label).sign()
            torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)

    def test_is_the_prediction_of_a_clip_without_a_label(self) -> None:
        clips = Recordings(sounds(), [None, "fear", *[None] * 12])
        one = audit(Fgsm(epsilon=(0.1,)), clips=clips, windows="first")
        seen = features(one)
        aims = Bands().eval()(torch.stack(seen)).argmax(dim=1).tolist()
        aims[1] = 1
        for x, label, found in zip(seen, aims, *inputs(one), strict=True):
            expected = x + 0.1 * gradient(Bands().eval(), x, label).sign()
            torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)
        assert [row.label for row in rows_of(one)][:3] == [None, "fear", None]

    def test_is_the_mean_over_the_windows_of_a_long_clip(self) -> None:
        one = audit(Fgsm(epsilon=(0.1,)), clips=Recordings(sounds()[-1:], ["joy"]), batch=1)
        net, (x,) = Bands().eval(), features(one)
        leaf = x.clone().requires_grad_(True)
        (net(windows(leaf, FRAMES)).softmax(dim=1).mean(dim=0)[2].log().neg()).backward()
        assert leaf.grad is not None
        ((found,),) = inputs(one)
        torch.testing.assert_close(found, x + 0.1 * leaf.grad.sign(), rtol=0, atol=1e-5)

    def test_a_waveform_is_attacked_through_the_front_end(self) -> None:
        one = audit(Fgsm(domain="waveform", epsilon=(32 / 32_768,)))
        net, scale = Bands().eval(), one.victim.standardizer
        sound = sounds()[3]
        leaf = sound.clone().requires_grad_(True)
        functional.cross_entropy(
            net(tile(scale(LogMel()(leaf)), FRAMES)[None]), torch.tensor([0])
        ).backward()  # type: ignore[no-untyped-call]
        assert leaf.grad is not None
        expected = sound + leaf.grad.sign() * 32 / 32_768
        different = (inputs(one)[0][3] - expected).abs() > 1e-6
        assert float(different.float().mean()) < 0.01  # where rounding decides a sign


class TestSuccess:
    """An attack reaches its goal on a clip that was right before, or there is nothing to say."""

    def outcomes(self, labels: Sequence[str | None] | None = None) -> Iterator[tuple[Any, Any]]:
        one = audit(Fgsm(epsilon=(0.1,)), clips=Recordings(sounds(), labels))
        for row in rows_of(one):
            yield row, row.attacked[0]

    def test_is_counted_over_the_clips_that_were_right_before(self) -> None:
        found = set()
        for row, outcome in self.outcomes():
            right = row.clean.label == row.label
            assert outcome.success == ((outcome.label != row.label) if right else None)
            found.add(outcome.success)
        assert found == {True, False, None}

    def test_of_a_clip_without_a_label_is_any_change(self) -> None:
        found = set()
        for row, outcome in self.outcomes([None] * 14):
            assert outcome.success == (outcome.label != row.clean.label)
            found.add(outcome.success)
        assert found == {True, False}

    def test_of_a_target_is_that_label_alone(self) -> None:
        attack = Fgsm(epsilon=(0.05, 0.1, 0.2, 0.3), goal=TargetLabel(label="joy"))
        found = set()
        for row in rows_of(audit(attack, clips=Recordings(sounds(), [None] * 14))):
            if row.clean.label == "joy":
                continue
            for outcome in row.attacked:
                assert outcome.success == (outcome.label == "joy")
                found.add((outcome.success, outcome.label == row.clean.label))
        assert found == {(True, False), (False, True)}


class TestClipsThatHaveTheTargetLabel:
    ATTACK: ClassVar = Fgsm(epsilon=(0.1, 0.5), goal=TargetLabel(label="fear"))

    @pytest.mark.parametrize("domain", ["features", "waveform"])
    def test_are_left_alone(self, domain: Literal["features", "waveform"]) -> None:
        net = Counting().eval()
        attack = self.ATTACK.model_copy(update={"domain": domain})
        one = audit(attack, net=net, windows="first")
        clean = one.clean(range(14))
        net.forwards = net.backwards = 0
        strengths = (0.1, 0.5) if domain == "features" else (0.01, 0.02)
        for point in one.points(0, strengths, clean):
            for index in range(1, 14, 3):  # fear, predicted or not
                outcome = point.outcomes[index]
                assert outcome.success is None
                assert outcome.details == {"has_target_label": True}
                assert (outcome.label, outcome.scores) == (clean[index].label, clean[index].scores)
                assert outcome.cost.model_dump() == {"forwards": 0, "backwards": 0, "queries": 0}
                assert (sized(outcome).linf, sized(outcome).l2) == (0, 0)
                assert sized(outcome).band_db == 0
                assert sized(outcome).snr_db == (None if domain == "features" else 200)
            assert all("has_target_label" not in point.outcomes[i].details for i in (0, 2, 3))
        assert net.backwards == 9

    def test_a_whole_batch_of_them_is_as_well(self) -> None:
        net = Counting().eval()
        one = audit(self.ATTACK, clips=Recordings(sounds(3), ["fear"] * 3), net=net)
        assert [o.success for point in attacked(one) for o in point] == [None] * 6
        assert (net.forwards, net.backwards) == (3, 0)

    def test_a_clip_without_a_label_has_it_if_it_is_predicted(self) -> None:
        one = audit(self.ATTACK, clips=Recordings(sounds(), [None] * 14))
        for row in rows_of(one):
            alone = row.attacked[0].details.get("has_target_label", False)
            assert alone == (row.clean.label == "fear")


class Numbers(Shift):
    """Answers a number in some places of the first clip of a batch."""

    type: Literal["numbers"] = "numbers"  # type: ignore[assignment]
    value: str = "nan"

    def run(self, view: View, x: Tensor, y: Tensor, radius: Tensor, rng: Rng) -> Tensor:
        wild = x + 1e-3
        wild[0].view(-1)[:3] = float(self.value)
        return wild


class Writing(Shift):
    """Writes into all that it is given."""

    type: Literal["writing"] = "writing"  # type: ignore[assignment]

    def run(self, view: View, x: Tensor, y: Tensor, radius: Tensor, rng: Rng) -> Tensor:
        radius.mul_(100)
        y.zero_()
        return x.add_(self.by)


class Shapeless(Shift):
    """Answers one clip for all of a batch."""

    type: Literal["shapeless"] = "shapeless"  # type: ignore[assignment]

    def run(self, view: View, x: Tensor, y: Tensor, radius: Tensor, rng: Rng) -> Tensor:
        return x[0]


class Attached(Shift):
    """Answers in another type, with a graph behind it."""

    type: Literal["attached"] = "attached"  # type: ignore[assignment]

    def run(self, view: View, x: Tensor, y: Tensor, radius: Tensor, rng: Rng) -> Tensor:
        return x.double().requires_grad_(True) + self.by


class TestTheAttackProposesAndTheAuditDecides:
    @pytest.mark.parametrize(("norm", "radius"), [("linf", 0.03), ("l2", 2.0)], ids=["linf", "l2"])
    def test_what_leaves_the_ball_is_projected(
        self, norm: Literal["linf", "l2"], radius: float
    ) -> None:
        one = audit(Shift(by=1e6, norm=norm, epsilon=(0.0, radius)))
        nothing, little = inputs(one)
        order = float("inf") if norm == "linf" else 2
        for x, same, moved in zip(features(one), nothing, little, strict=True):
            assert torch.equal(same, x)
            size = float(torch.linalg.vector_norm(moved - x, ord=order))
            assert size == pytest.approx(radius, rel=1e-4)

    @pytest.mark.parametrize("value", ["nan", "inf", "-inf"])
    @pytest.mark.parametrize("norm", ["linf", "l2"])
    def test_what_is_not_finite_stays_in_the_ball_and_is_flagged(
        self, norm: Literal["linf", "l2"], value: str
    ) -> None:
        one = audit(Numbers(value=value, norm=norm, epsilon=(0.03,)), batch=14, windows="first")
        ((first, second, *_),) = inputs(one)
        x = features(one)[0]
        assert bool(torch.isfinite(first).all())
        assert float((first - x).abs().max()) <= 0.03 + 1e-6
        if value == "nan":
            assert torch.equal(first.view(-1)[:3], x.view(-1)[:3])
        ((outcome, other, *_),) = attacked(one)
        assert (outcome.no_direction, other.no_direction) == (True, False)
        assert float((second - features(one)[1]).abs().max()) > 0

    def test_what_it_writes_into_what_it_is_given_moves_no_budget(self) -> None:
        one = audit(Writing(by=1e6, epsilon=(0.03, 0.05)))
        for strength, moved in zip((0.03, 0.05), inputs(one), strict=True):
            for x, x_adv in zip(features(one), moved, strict=True):
                assert float((x_adv - x).abs().max()) == pytest.approx(strength, abs=1e-5)
        assert torch.equal(one.clips.waveform(0), sounds()[0])

    def test_an_answer_of_another_shape_is_refused(self) -> None:
        with pytest.raises(ValueError, match=r"'shapeless' answers a tensor \(40, 64\) for an"):
            attacked(audit(Shapeless(epsilon=(0.1,))))

    def test_an_answer_of_another_type_with_a_graph_is_taken_as_it_should_have_been(self) -> None:
        ((found, *_),) = inputs(audit(Attached(epsilon=(0.1,))))
        assert (found.dtype, found.requires_grad) == (torch.float32, False)

    def test_fewer_answers_than_strengths_are_refused(self) -> None:
        class Short(Shift):
            type: Literal["short"] = "short"  # type: ignore[assignment]

            def craft(
                self, view: View, x: Tensor, y: Tensor, radii: Iterable[Tensor], rng: Rng
            ) -> Iterator[Crafted]:
                yield Crafted(x)

        with pytest.raises(ValueError, match="shorter"):
            attacked(audit(Short(epsilon=(0.1, 0.2))))

    def test_details_are_kept_clip_by_clip(self) -> None:
        class Talking(Shift):
            type: Literal["talking"] = "talking"  # type: ignore[assignment]

            def craft(
                self, view: View, x: Tensor, y: Tensor, radii: Iterable[Tensor], rng: Rng
            ) -> Iterator[Crafted]:
                for radius in radii:
                    yield Crafted(x, {"label": y.tolist(), "radius": radius.tolist()})

        for epsilon, point in zip(
            (0.5, 0.25), attacked(audit(Talking(epsilon=(0.5, 0.25)))), strict=True
        ):
            assert [outcome.details for outcome in point] == [
                {"label": index % 3, "radius": epsilon} for index in range(14)
            ]


class Greedy(Shift):
    """Asks for scores more often than it says."""

    type: Literal["greedy"] = "greedy"  # type: ignore[assignment]
    said: int = 2
    asked: int = 2

    needs: ClassVar[Access] = Access.SCORES

    def run_cost(self, n_classes: int) -> Cost:
        return Cost(forwards=self.said, queries=self.said)

    def run(self, view: View, x: Tensor, y: Tensor, radius: Tensor, rng: Rng) -> Tensor:
        for _ in range(self.asked):
            view.scores(x)
        return x + self.by


class Spy(Shift):
    """Asks for a gradient although it needs no more than labels."""

    type: Literal["spy"] = "spy"  # type: ignore[assignment]
    needs: ClassVar[Access] = Access.LABELS

    def run_cost(self, n_classes: int) -> Cost:
        return Cost(forwards=9, backwards=9)

    def run(self, view: View, x: Tensor, y: Tensor, radius: Tensor, rng: Rng) -> Tensor:
        return x + view.gradient(x, self.objective(y)).gradient


class TestCost:
    def test_who_asks_for_more_than_was_said_is_stopped(self) -> None:
        attacked(audit(Greedy(epsilon=(0.1, 0.2))))
        with pytest.raises(BudgetExceeded, match="forwards=3"):
            attacked(audit(Greedy(epsilon=(0.1,), asked=3)))

    def test_who_asks_for_what_it_may_not_see_is_stopped(self) -> None:
        with pytest.raises(AccessDenied, match="LABELS asked for GRADIENTS"):
            attacked(audit(Spy(epsilon=(0.1,))))

    @pytest.mark.parametrize(
        ("attack", "each"),
        [
            (Fgsm(epsilon=GRID), [(2, 1, 0), (1, 0, 0), (1, 0, 0), (1, 0, 0)]),
            (Pgd(epsilon=(0.1, 0.2), steps=3, restarts=2), [(9, 6, 0)] * 2),
            (Noise(epsilon=(0.1, 0.2), draws=5), [(6, 0, 5)] * 2),
            (Greedy(epsilon=(0.1,)), [(3, 0, 2)]),
            (Nothing(epsilon=(0.1,)), [(1, 0, 0)]),
        ],
        ids=lambda value: value.type if isinstance(value, Attack) else "",
    )
    def test_is_what_the_network_really_got(
        self, attack: Attack, each: list[tuple[int, int, int]]
    ) -> None:
        net = Counting().eval()
        one = audit(attack, net=net, clips=Recordings(sounds(), audible=False), windows="first")
        clean = one.clean(range(14))
        assert (net.forwards, net.backwards) == (14, 0)
        net.forwards = 0
        points = attacked(one, clean=clean)
        for point, (forwards, backwards, queries) in zip(points, each, strict=True):
            for outcome in point:
                assert outcome.cost.model_dump() == {
                    "forwards": forwards,
                    "backwards": backwards,
                    "queries": queries,
                }
        costs = [outcome.cost for point in points for outcome in point]
        assert net.forwards == sum(cost.forwards for cost in costs)
        assert net.backwards == sum(cost.backwards for cost in costs)

    def test_each_pass_is_told_before_it_is_made_and_may_end_the_audit(self) -> None:
        class Stop(Exception):
            """Enough."""

        told: list[tuple[int, int]] = []

        def on_pass(forwards: int, backwards: int) -> None:
            told.append((forwards, backwards))
            if len(told) == 5:
                raise Stop

        net = Counting().eval()
        one = audit(Fgsm(epsilon=GRID), net=net, batch=14, windows="first", on_pass=on_pass)
        one.clips.audible = False  # type: ignore[misc]
        with pytest.raises(Stop):
            attacked(one)
        assert told == [(14, 0), (14, 14), (14, 0), (14, 0), (14, 0)]
        assert (net.forwards, net.backwards) == (4 * 14, 14)

    def test_a_clip_of_eta_bounds_the_change(self) -> None:
        small, large = inputs(audit(Fgsm(epsilon=(0.02, 0.5), clip=0.1)))
        for x, little, more in zip(features(audit()), small, large, strict=True):
            assert float((little - x).abs().max()) == pytest.approx(0.02, abs=1e-5)
            assert float((more - x).abs().max()) == pytest.approx(0.1, abs=1e-5)

    def test_one_backward_pass_serves_the_grid(self) -> None:
        net = Counting().eval()
        attacked(audit(Fgsm(epsilon=GRID), net=net, windows="first"))
        assert net.backwards == 14


class TestBatches:
    """Whatever a clip's batch is, its evidence is the same."""

    ATTACKS: ClassVar[list[Attack]] = [
        Fgsm(epsilon=(0.05, 0.3)),
        Pgd(epsilon=(0.1,), steps=2, restarts=3),
        Noise(epsilon=(0.2, 0.4), draws=4),
        Noise(domain="waveform", snr_db=(30.0, 10.0), draws=2),
    ]

    @pytest.mark.parametrize("which", ["all", "first"])
    def test_clips_of_every_length_come_back_in_their_order(
        self, which: Literal["all", "first"]
    ) -> None:
        rows = rows_of(audit(*self.ATTACKS, windows=which))
        assert [row.index for row in rows] == list(range(14))
        for row in rows:
            assert [(o.attack, o.strength) for o in row.attacked] == [
                (number, strength)
                for number, attack in enumerate(self.ATTACKS)
                for strength in attack.strengths
            ]

    @pytest.mark.parametrize("which", ["all", "first"])
    @pytest.mark.parametrize(("batch", "chunk"), [(1, None), (14, None), (3, 5)])
    def test_change_neither_predictions_nor_draws(
        self, batch: int, chunk: int | None, which: Literal["all", "first"]
    ) -> None:
        expected = rows_of(audit(*self.ATTACKS, windows=which))
        found = rows_of(audit(*self.ATTACKS, windows=which, batch=batch), chunk)
        for ours, theirs in zip(found, expected, strict=True):
            assert ours.clean.label == theirs.clean.label
            for one, other in zip(ours.attacked, theirs.attacked, strict=True):
                assert (one.label, one.success, one.cost) == (
                    other.label, other.success, other.cost,
                )  # fmt: skip
                assert one.scores == pytest.approx(other.scores, abs=1e-5)
                assert one.details == other.details
                assert sized(one).l2 == pytest.approx(sized(other).l2, rel=1e-5)

    def test_a_chunk_is_scored_as_if_there_were_no_others(self) -> None:
        whole = rows_of(audit(*self.ATTACKS), chunk=4)
        one = audit(*self.ATTACKS)
        clean = one.clean(range(8, 12))
        assert clean == {index: whole[index].clean for index in range(8, 12)}
        for number, attack in enumerate(self.ATTACKS):
            for point in one.points(number, attack.strengths, clean):
                for index, outcome in point.outcomes.items():
                    assert outcome in whole[index].attacked

    def test_draws_are_equal_to_the_bit(self) -> None:
        attack = Noise(epsilon=(0.4,), draws=3)
        for ours, theirs in zip(
            inputs(audit(attack, batch=1))[0], inputs(audit(attack, batch=14))[0], strict=True
        ):
            assert torch.equal(ours, theirs)

    def test_another_seed_gives_other_draws(self) -> None:
        attack = Noise(epsilon=(0.4,))
        ours, theirs = (inputs(audit(attack, seed=seed))[0] for seed in (0, 1))
        assert not any(torch.equal(x, other) for x, other in zip(ours, theirs, strict=True))

    def test_an_attack_of_some_strengths_alone_finds_what_it_finds_among_all(self) -> None:
        """What a resumed audit does, of whose strengths some are scored."""
        one = audit(Noise(epsilon=(0.2, 0.4), draws=2))
        clean = one.clean(range(14))
        (alone,) = one.points(0, [0.4], clean)
        _, among = one.points(0, [0.2, 0.4], clean)
        assert alone.outcomes == among.outcomes

    def test_clips_with_several_windows_come_in_smaller_batches(self) -> None:
        seen: list[int] = []

        class Seeing(Bands):
            def forward(self, x: Tensor) -> Tensor:
                seen.append(len(x))
                return super().forward(x)

        sound = sounds()[-1]
        clips = Recordings([sound, sound.flip(0), 0.5 * sound, sound[:1500]])
        audit(clips=clips, net=Seeing().eval(), batch=7).clean(range(4))
        assert sorted(seen) == [1, 3, 6]

    def test_a_strength_is_told_before_the_next_is_begun(self) -> None:
        passes: list[int] = []
        one = audit(
            Pgd(epsilon=(0.1, 0.2, 0.3), steps=2),
            on_pass=lambda forwards, backwards: passes.append(forwards),
        )
        clean = one.clean(range(14))
        passes.clear()
        counts = [sum(passes) for _ in one.points(0, (0.1, 0.2, 0.3), clean)]
        assert counts == [14 * 4, 14 * 8, 14 * 12]

    def test_an_audit_of_no_clips_has_points_without_outcomes(self) -> None:
        one = audit(Fgsm(epsilon=(0.1,)))
        assert [point.outcomes for point in one.points(0, [0.1], {})] == [{}]


class TestMemory:
    def test_a_strength_that_was_told_is_let_go(self) -> None:
        one = audit(Noise(epsilon=(0.1, 0.2, 0.3, 0.4)))
        kept: list[weakref.ref[Tensor]] = []
        for point in one.points(0, (0.1, 0.2, 0.3, 0.4), one.clean(range(14))):
            kept.append(weakref.ref(point.inputs[0]))
            assert sum(ref() is not None for ref in kept) <= 2  # this one and the one before

    def test_clean_clips_are_read_a_batch_at_a_time(self) -> None:
        alive: list[int] = []

        def count() -> int:
            shape = (FRAMES, MELS)
            return sum(type(one) is Tensor and one.shape == shape for one in gc.get_objects())

        class Seeing(Bands):
            def forward(self, x: Tensor) -> Tensor:
                alive.append(count())
                return super().forward(x)

        one = audit(net=Seeing().eval(), windows="first")
        before = count()
        one.clean(range(14))
        assert len(alive) == 4
        assert max(alive) - before <= 4


class Steep(nn.Module):
    """`Bands` with its weights times a factor: the same predictions, but a steep softmax."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.bands = Bands()
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.bands(x) * self.factor
        return logits


class Lost(Bands):
    """`Bands` whose gradient is not a number at some clips: everywhere, or in one place."""

    def forward(self, x: Tensor) -> Tensor:
        if x.requires_grad:
            x.register_hook(self.spoilt)  # type: ignore[no-untyped-call]
        return super().forward(x)

    @staticmethod
    def spoilt(gradient: Tensor) -> Tensor:
        gradient = gradient.clone()
        gradient[1:2] = torch.nan
        gradient[2:3, 0, 0] = torch.nan
        return gradient


class TestWithoutADirection:
    """What an attack could not even try is no evidence of robustness."""

    def test_a_saturated_softmax_looks_robust_and_is_counted(self) -> None:
        attack = Fgsm(epsilon=(0.0, 0.2, 1.0))
        clips = Recordings(sounds(), [None] * 14)
        plain, steep = (
            attacked(audit(attack, clips=clips, net=net, windows="first"))
            for net in (Bands().eval(), Steep(1e4).eval())
        )
        assert sum(bool(outcome.success) for outcome in plain[2]) > 4
        assert [sum(outcome.no_direction for outcome in point) for point in plain] == [0, 0, 0]
        assert not any(outcome.success for point in steep for outcome in point)
        assert [sum(outcome.no_direction for outcome in point) for point in steep] == [0, 14, 14]

    def test_a_gradient_that_is_not_a_number_counts_too(self) -> None:
        one = audit(Fgsm(epsilon=(0.2,)), net=Lost().eval(), windows="first")
        clean = one.clean(range(4))
        (point,) = one.points(0, [0.2], clean)
        found = [point.outcomes[index].no_direction for index in range(4)]
        assert found == [False, True, True, False]
        assert point.outcomes[1].scores == clean[1].scores

    def test_one_value_that_moves_is_a_direction(self) -> None:
        x = torch.ones(2, 3, 4)
        x_adv = x.clone()
        x_adv[1, 2, 3] += 0.1
        found = without_direction(ThreatModel(), x, x_adv, torch.tensor([0.1, 0.1]))
        assert found.tolist() == [True, False]

    def test_nothing_is_asked_of_a_budget_that_rounding_swallows(self) -> None:
        x = torch.ones(3, 3)
        radius = torch.tensor([0.0, 1e-9, 1e-6])
        assert without_direction(ThreatModel(), x, x, radius).tolist() == [False, False, True]

    def test_digital_silence_has_no_snr(self) -> None:
        silence = torch.zeros(1, 600)
        found = {
            norm: without_direction(
                ThreatModel("waveform", norm), silence, silence, torch.zeros(1)
            ).tolist()
            for norm in ("linf", "l2")
        }
        assert found == {"linf": [False], "l2": [True]}


class Spoilt(nn.Module):
    """`Bands` that answers ``value`` for clips whose loudest value is above ``above``."""

    def __init__(self, value: float, above: float = -1e9) -> None:
        super().__init__()
        self.bands = Bands()
        self.value, self.above = value, above

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.bands(x)
        return torch.where(x.amax(dim=(1, 2))[:, None] > self.above, self.value, logits)


class TestScoresThatAreNoNumbers:
    """argmax takes NaN for the largest score: such a model would look right, and robust."""

    @pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
    def test_end_the_audit(self, value: float) -> None:
        one = audit(net=Spoilt(value).eval(), windows="first")
        with pytest.raises(AuditError, match=r"4 of 4 clips .* its weights overflow") as caught:
            one.clean(range(14))
        assert caught.value.code == "non_finite_scores"

    def test_also_if_only_the_attacked_clip_has_them(self) -> None:
        above = max(float(x.max()) for x in features(audit())) + 0.1
        net = Spoilt(torch.nan, above).eval()
        attacked(audit(Fgsm(epsilon=(0.05,)), net=net))
        with pytest.raises(AuditError, match="NaN or infinity"):
            attacked(audit(Fgsm(epsilon=(0.05, 1.0)), net=net))


class TestWaveforms:
    """What is scored is a 16-bit file within the budget."""

    @pytest.mark.parametrize(
        "attack",
        [
            Fgsm(domain="waveform", epsilon=(1e-4, 1e-3)),
            Noise(domain="waveform", epsilon=(1e-4, 1e-3)),
            Shift(domain="waveform", by=0.5, epsilon=(1e-4, 1e-3)),
        ],
        ids=lambda attack: attack.type,
    )
    def test_linf_holds_to_the_step(self, attack: Attack) -> None:
        one = audit(attack)
        for epsilon, point in zip((1e-4, 1e-3), inputs(one), strict=True):
            for sound, x_adv in zip(sounds(), point, strict=True):
                assert torch.equal(x_adv, (x_adv * 32_768).round() / 32_768)
                assert float((x_adv - sound).abs().max()) <= epsilon
        for sound, clip in zip(sounds(), one.clips.waveforms, strict=True):  # type: ignore[attr-defined]
            assert torch.equal(sound, clip)

    @pytest.mark.parametrize(
        "attack",
        [
            Pgd(domain="waveform", snr_db=(50.0, 20.0), steps=2),
            Noise(domain="waveform", snr_db=(50.0, 20.0)),
        ],
        ids=lambda attack: attack.type,
    )
    def test_l2_holds_the_snr_of_the_file(self, attack: Attack) -> None:
        one = audit(attack)
        for point in one.points(0, (50.0, 20.0), one.clean(range(14))):
            asked = point.strength
            for index, sound in enumerate(sounds()):
                x_adv, outcome = point.inputs[index], point.outcomes[index]
                assert torch.equal(x_adv, (x_adv * 32_768).round() / 32_768)
                got = 10 * float(torch.log10(sound.square().sum() / (x_adv - sound).square().sum()))
                assert asked - 1e-3 <= got <= asked + 0.5
                assert sized(outcome).snr_db == pytest.approx(got, abs=1e-3)

    def test_the_score_is_that_of_the_file(self) -> None:
        one = audit(Fgsm(domain="waveform", epsilon=(1e-3,)))
        net, scale = Bands().eval(), one.victim.standardizer
        for x_adv, outcome in zip(*inputs(one), *attacked(one), strict=True):
            heard = windows(scale(LogMel()(x_adv)), FRAMES)
            expected = net(heard).softmax(dim=1).mean(dim=0).tolist()
            assert list(outcome.scores.values()) == pytest.approx(expected, abs=1e-5)

    def test_digital_silence_is_flagged_and_stays(self) -> None:
        silence = torch.zeros(4000)
        one = audit(
            Fgsm(domain="waveform", snr_db=(30.0,)),
            Noise(domain="waveform", snr_db=(30.0,)),
            Noise(domain="waveform", epsilon=(0.0, 0.01)),
            clips=Recordings([*sounds(2), silence]),
        )
        for number in (0, 1):
            ((*_, outcome),) = attacked(one, number)
            assert outcome.no_direction
            assert outcome.details["digital_silence"] is True
            assert sized(outcome).snr_db == 200
            assert torch.equal(inputs(one, number)[0][2], silence)
            for sound in attacked(one, number)[0][:2]:
                assert "digital_silence" not in sound.details
        nothing, some = (point[2] for point in attacked(one, 2))
        assert (nothing.no_direction, sized(nothing).linf) == (False, 0)
        assert not some.no_direction
        assert sized(some).linf == pytest.approx(0.01, abs=STEP)

    def test_without_recordings_there_is_nothing_to_attack(self) -> None:
        attacks = (Fgsm(epsilon=(0.1,)), Fgsm(domain="waveform", epsilon=(1e-3,)))
        one = audit(*attacks, clips=Recordings(sounds(), audible=False))
        with pytest.raises(AuditError, match="Attack 1 changes waveforms") as caught:
            attacked(one, 1)
        assert caught.value.code == "no_recordings"

    def test_a_first_window_is_what_is_written(self) -> None:
        ((*_, last),) = inputs(audit(Fgsm(domain="waveform", epsilon=(1e-3,)), windows="first"))
        assert len(last) == LONG < len(sounds()[-1])


class TestSound:
    """Of a successful attack on log-mels: is it still one when it is played?"""

    ATTACK: ClassVar = Fgsm(epsilon=(0.2, 1.0))

    def test_what_succeeded_is_played_and_nothing_else(self) -> None:
        rows = rows_of(audit(self.ATTACK))
        for row in rows:
            for outcome in row.attacked:
                assert (outcome.audio is not None) == bool(outcome.success)
        assert any(outcome.audio for row in rows for outcome in row.attacked)

    def test_nothing_is_played_without_recordings(self) -> None:
        points = attacked(audit(self.ATTACK, clips=Recordings(sounds(), audible=False)))
        assert any(outcome.success for point in points for outcome in point)
        assert all(outcome.audio is None for point in points for outcome in point)

    def test_an_attack_on_a_waveform_is_sound_already(self) -> None:
        points = attacked(audit(Fgsm(domain="waveform", epsilon=(0.01,))))
        assert any(outcome.success for point in points for outcome in point)
        assert all(outcome.audio is None for point in points for outcome in point)

    @pytest.mark.parametrize("which", ["all", "first"])
    def test_what_is_played_is_scored_as_by_hand(self, which: Literal["all", "first"]) -> None:
        """Bands of very different widths: the change is scaled, folded, played, heard, z-scored."""
        clips = Recordings(sounds(), [None] * 14)
        plain = clips.standardizer()
        mean, std = plain.mean, plain.std * torch.linspace(0.2, 5.0, MELS)
        net = Bands().eval()
        victim = SpectrogramVictim(net, Standardizer(mean, std), LABELS, FRAMES, windows=which)
        one = Audit(victim, clips, [self.ATTACK], batch=4)
        heard: list[str] = []
        for outcomes, found in zip(attacked(one), inputs(one), strict=True):
            for index, (outcome, x_adv) in enumerate(zip(outcomes, found, strict=True)):
                if outcome.audio is None:
                    continue
                waveform = sounds()[index]
                if which == "first":
                    waveform = waveform[:LONG]
                x = (LogMel()(waveform) - mean) / std
                frames = len(x)
                change = fold((x_adv - tile(x, max(frames, FRAMES))) * std, frames)
                sound = play(LogMel(), waveform, change)
                again = windows((LogMel()(sound) - mean) / std, FRAMES)
                label = LABELS[int(net(again).softmax(dim=1).mean(dim=0).argmax())]
                assert outcome.audio.label == label
                assert outcome.audio.snr_db == pytest.approx(
                    float(snr_db(waveform, sound)), abs=0.02
                )
                heard.append(label)
        assert len(heard) >= 5
        assert len(set(heard)) > 1

    def test_playing_is_no_pass_of_the_attack(self) -> None:
        told: list[int] = []
        net = Counting().eval()
        one = audit(self.ATTACK, net=net, windows="first", on_pass=lambda f, b: told.append(f))
        played = sum(o.audio is not None for point in attacked(one) for o in point)
        assert played > 0
        assert net.forwards == sum(told) + played
        assert sum(told) == 14 * (1 + 1 + 2)


class Notch(Attack):
    """Lowers one band, and swells another: an attack of somebody's own, with two parameters."""

    type: Literal["notch"] = "notch"
    band: int = Field(0, ge=0, lt=MELS)
    swell: float = Field(0.5, ge=0, le=1)

    def run_cost(self, n_classes: int) -> Cost:
        return Cost(forwards=1)

    def run(self, view: View, x: Tensor, y: Tensor, radius: Tensor, rng: Rng) -> Tensor:
        moved = x.clone()
        moved[..., self.band] -= radius[:, None]
        moved[..., (self.band + 1) % MELS] += self.swell * radius[:, None]
        worse = self.objective(y).values(view.scores(moved)) > 0
        return torch.where(worse[:, None, None], moved, x)


@pytest.fixture
def notch() -> Iterator[None]:
    """An attack that is declared in one place, this file."""
    ATTACKS.register(Notch)
    yield
    ATTACKS.unregister("notch")


@pytest.mark.usefixtures("notch")
class TestAnAttackOfOnesOwn:
    def test_runs_in_an_audit(self) -> None:
        attack = ATTACKS.parse({"type": "notch", "epsilon": [0.0, 0.5], "band": 7, "swell": 0.25})
        one = audit(attack)
        still, moved = inputs(one)
        for x, same, x_adv in zip(features(one), still, moved, strict=True):
            assert torch.equal(x, same)
            expected = torch.zeros(MELS)
            expected[7], expected[8] = -0.5, 0.125
            torch.testing.assert_close((x_adv - x).mean(dim=0), expected, rtol=0, atol=1e-5)
        rows = rows_of(one)
        assert all(len(row.attacked) == 2 for row in rows)
        assert all(row.attacked[0].scores == row.clean.scores for row in rows)
        assert all(row.attacked[1].cost.forwards == 2 for row in rows)

    def test_is_the_attack_that_a_request_describes(self) -> None:
        attack = ATTACKS.parse({"type": "notch", "epsilon": [0.5]})
        assert attack.parameters() == {
            "domain": "features",
            "norm": "linf",
            "labels": "true",
            "goal": "untargeted",
            "band": 0,
            "swell": 0.5,
        }
