"""What an audit counts, and that it trusts no attack."""

import math
from collections.abc import Iterator, Sequence
from typing import Any, get_args

import pytest
import torch
from torch import Tensor, nn

from models import attacks as attacks_module
from models.architectures import build
from models.attacks import ATTACKS, AttackLabels, fgsm_grid
from models.audit import (
    NO_LABEL,
    Attack,
    Audit,
    AuditError,
    Outcome,
    Played,
    Row,
    points,
    project,
    robust_uar,
    summarize,
    without_direction,
)
from models.corpus.dataset import Dataset
from models.features import HOP, MELS, WINDOW, LogMel, Standardizer, tile
from models.metrics import uar
from models.playback import fold, play, snr_db

CLASSES = 3
FRAMES = 40
GRID = (0.0, 0.05, 0.2, 1.0)


class Bands(nn.Module):
    """A linear classifier of the mean frame, with dropout to tell train mode from eval mode."""

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(3)
        self.weight = nn.Parameter(torch.randn(CLASSES, MELS, generator=generator))
        self.dropout = nn.Dropout(0.5)

    def forward(self, x: Tensor) -> Tensor:
        frame: Tensor = self.dropout(x).mean(dim=1)
        return frame @ self.weight.T


def sounds(n: int = 14) -> list[Tensor]:
    """Noise of different colours and lengths, 1,500 to 20,000 samples."""
    generator = torch.Generator().manual_seed(7)
    lengths = [1500 + 1423 * number for number in range(n)]
    orders = [number % 2 + 1 for number in range(n)]  # of differences, each a sample shorter
    return [
        0.1 * torch.randn(length + order, generator=generator).cumsum(0).diff(n=order)
        for length, order in zip(lengths, orders, strict=True)
    ]


def dataset(labels: Sequence[int] | None = None) -> Dataset:
    clips = [LogMel()(sound) for sound in sounds()]
    offsets = torch.tensor([0, *(len(clip) for clip in clips)]).cumsum(0)
    given = [number % CLASSES for number in range(len(clips))] if labels is None else labels
    return Dataset(torch.cat(clips), offsets, torch.tensor(given))


def audit(
    *attacks: Attack,
    labels: Sequence[int] | None = None,
    batch_size: int = 4,
    audible: bool = False,
    net: nn.Module | None = None,
) -> Audit:
    data = dataset(labels)
    return Audit(
        net or Bands().eval(),
        data.standardizer(),
        data,
        attacks or (Attack(GRID),),
        FRAMES,
        batch_size,
        sounds().__getitem__ if audible else None,
    )


def rows_of(one: Audit, start: int = 0) -> list[Row]:
    return [row for batch in one.rows(start) for row in batch]


@pytest.fixture
def reckless() -> Iterator[None]:
    """An attack that goes as far as it likes, and is not even always a number."""

    def attack(
        net: nn.Module, x: Tensor, y: Tensor, epsilons: Sequence[float], clip: float | None
    ) -> Tensor:
        wild = x + 1e6 * torch.randn(x.shape, generator=torch.Generator().manual_seed(1))
        wild[0, 0, 0], wild[0, 0, 1], wild[0, 0, 2] = torch.nan, torch.inf, -torch.inf
        return torch.stack([wild for _ in epsilons])

    ATTACKS["reckless"] = attack
    yield
    del ATTACKS["reckless"]


class TestRunner:
    def test_gives_one_row_a_clip_in_the_order_of_the_data(self) -> None:
        batches = list(audit().rows())
        assert [len(batch) for batch in batches] == [4, 4, 4, 2]
        rows = [row for batch in batches for row in batch]
        assert [row.label for row in rows] == dataset().labels.tolist()
        assert all(len(row.attacked) == len(GRID) for row in rows)

    def test_scores_are_the_probabilities_of_the_network_in_eval_mode(self) -> None:
        net = Bands().train()
        one = audit(net=net)
        x, _ = one.inputs(torch.arange(4))
        expected = torch.softmax(Bands().eval()(x), dim=1)
        rows = one.batch(torch.arange(4))
        assert net.training
        assert torch.equal(torch.tensor([row.clean.scores for row in rows]), expected)
        assert [row.clean.prediction for row in rows] == expected.argmax(dim=1).tolist()

    def test_scores_of_a_fast_view_are_those_of_the_plain_network(self) -> None:
        """On a CPU, CNN-4 is scored as it is served, and attacked as it is."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(4)
            net = build("cnn4", CLASSES).train()
        data = dataset().subset(torch.arange(2))
        running = Audit(net, data.standardizer(), data, [Attack((0.0, 0.1))], FRAMES)
        rows = [row for batch in running.rows() for row in batch]
        assert all(module.training for module in net.modules())
        assert all(parameter.requires_grad for parameter in net.parameters())

        x, y = running.inputs(torch.arange(2))
        with torch.no_grad():
            plain = net.eval()(x).softmax(dim=1)
            attacked = net(fgsm_grid(net, x, y, [0.1])[0]).softmax(dim=1)
        for number, row in enumerate(rows):
            assert row.clean.scores == pytest.approx(plain[number].tolist(), abs=1e-4)
            assert row.attacked[1].scores == pytest.approx(attacked[number].tolist(), abs=1e-3)

    def test_says_the_same_on_any_device(self, device: torch.device) -> None:
        data, net = dataset(), Bands().to(device)
        scale = data.standardizer().to(device)
        one = Audit(net, scale, data, [Attack(GRID)], FRAMES, 4, sounds().__getitem__)
        for row, expected in zip(rows_of(one), rows_of(audit(audible=True)), strict=True):
            for ours, theirs in zip(
                (row.clean, *row.attacked), (expected.clean, *expected.attacked), strict=True
            ):
                assert ours.scores == pytest.approx(theirs.scores, abs=1e-4)
                assert ours.prediction == theirs.prediction
                assert (ours.played is None) == (theirs.played is None)
                if ours.played is not None and theirs.played is not None:
                    assert ours.played.prediction == theirs.played.prediction
                    assert ours.played.snr_db == pytest.approx(theirs.played.snr_db, abs=0.01)

    def test_an_epsilon_of_zero_changes_nothing(self) -> None:
        for row in rows_of(audit()):
            assert row.attacked[0] == row.clean

    def test_attacks_the_true_label(self) -> None:
        one = audit(Attack((0.1,)))
        x, y = one.inputs(torch.arange(14))
        expected = fgsm_grid(Bands().eval(), x, y, [0.1])
        assert torch.allclose(one.adversarial(one.attacks[0], x, y), expected, atol=1e-6)

    def test_attacks_the_prediction_where_that_is_asked_for(self) -> None:
        one = audit(Attack((0.1,), labels="predicted"))
        x, y = one.inputs(torch.arange(14))
        prediction = Bands().eval()(x).argmax(dim=1)
        assert bool((prediction != y).any())
        expected = fgsm_grid(Bands().eval(), x, prediction, [0.1])
        assert torch.allclose(one.adversarial(one.attacks[0], x, y), expected, atol=1e-6)

    def test_attacks_the_prediction_of_a_clip_without_a_label(self) -> None:
        labels = [NO_LABEL, 1, *[NO_LABEL] * 12]
        one = audit(Attack((0.1,)), labels=labels)
        x, y = one.inputs(torch.arange(14))
        target = Bands().eval()(x).argmax(dim=1)
        target[1] = 1
        expected = fgsm_grid(Bands().eval(), x, target, [0.1])
        assert torch.allclose(one.adversarial(one.attacks[0], x, y), expected, atol=1e-6)
        assert [row.label for row in rows_of(one)][:3] == [None, 1, None]

    def test_one_backward_pass_serves_the_grid(self, monkeypatch: pytest.MonkeyPatch) -> None:
        passes: list[int] = []
        real = attacks_module.fgsm.__globals__["input_gradient"]

        def counted(net: nn.Module, x: Tensor, y: Tensor) -> Tensor:
            passes.append(len(x))
            gradient: Tensor = real(net, x, y)
            return gradient

        monkeypatch.setitem(attacks_module.fgsm.__globals__, "input_gradient", counted)
        rows_of(audit(Attack(GRID)))
        assert passes == [4, 4, 4, 2]

    def test_clip_bounds_the_change(self) -> None:
        one = audit(Attack((0.02, 0.5), clip=0.1))
        x, y = one.inputs(torch.arange(4))
        small, large = (one.adversarial(one.attacks[0], x, y) - x).abs().amax(dim=(1, 2, 3))
        assert float(small) == pytest.approx(0.02, abs=1e-6)
        assert float(large) == pytest.approx(0.1, abs=1e-6)

    @pytest.mark.usefixtures("reckless")
    def test_what_an_attack_returns_is_projected_to_the_budget_and_finite(self) -> None:
        one = audit(Attack((0.0, 0.03), type="reckless"))
        x, y = one.inputs(torch.arange(4))
        nothing, little = one.adversarial(one.attacks[0], x, y)
        assert torch.equal(nothing, x)
        assert bool(torch.isfinite(little).all())
        assert float((little - x).abs().max()) <= 0.03 + 1e-6

    def test_goes_on_at_a_batch_as_if_it_had_never_stopped(self) -> None:
        whole = rows_of(audit(audible=True))
        assert rows_of(audit(audible=True), start=8) == whole[8:]
        assert rows_of(audit(), start=14) == []

    def test_refuses_to_go_on_inside_a_batch(self) -> None:
        with pytest.raises(ValueError, match=r"start is 6: give a multiple of batch_size 4"):
            next(audit().rows(start=6))

    def test_plays_what_succeeded_and_nothing_else(self) -> None:
        rows = rows_of(audit(audible=True))
        for row in rows:
            for outcome in row.attacked:
                broken = row.clean.prediction == row.label != outcome.prediction
                assert (outcome.played is not None) == broken
        assert any(outcome.played for row in rows for outcome in row.attacked)

    def test_is_silent_without_waveforms(self) -> None:
        assert all(o.played is None for row in rows_of(audit()) for o in row.attacked)
        with pytest.raises(ValueError, match="no waveforms"):
            audit().played(0, torch.zeros(FRAMES, MELS))

    def test_an_unchanged_sound_is_to_the_network_what_the_clip_was(self) -> None:
        one = audit(audible=True)
        for clip, waveform in enumerate(sounds()):
            clean, sound = one.played(clip, torch.zeros(FRAMES, MELS))
            x, _ = one.inputs(torch.tensor([clip]))
            heard = one.standardizer(tile(LogMel()(sound), FRAMES))
            assert torch.allclose(heard, x[0], atol=1e-4)
            assert torch.equal(clean, waveform[: len(clean)])

    def test_a_change_is_heard_in_log_mels_not_in_standard_deviations(self) -> None:
        """Half a deviation of four is two: e^2 louder."""
        data = dataset()
        standardizer = Standardizer(torch.full((MELS,), -6.0), torch.full((MELS,), 4.0))
        one = Audit(Bands(), standardizer, data, [Attack(GRID)], FRAMES, 4, sounds().__getitem__)
        clean, sound = one.played(13, torch.full((FRAMES, MELS), 0.5))
        louder = LogMel()(sound) - LogMel()(clean)
        assert float(louder.median()) == pytest.approx(2.0, abs=0.01)

    def test_what_is_played_is_scored_as_by_hand(self) -> None:
        """Bands of very different widths: the change is scaled, folded, played, heard, z-scored."""
        data, plain = dataset([NO_LABEL] * 14), dataset().standardizer()
        width = torch.linspace(0.2, 5.0, MELS)
        mean, std = plain.mean, plain.std * width
        attack, net = Attack((0.2, 1.0)), Bands().eval()
        one = Audit(net, Standardizer(mean, std), data, [attack], FRAMES, 4, sounds().__getitem__)
        x, _ = one.inputs(torch.arange(14))
        y = net(x).argmax(dim=1)
        heard: list[int] = []
        for clip, row in enumerate(rows_of(one)):
            for x_adv, outcome in zip(
                fgsm_grid(net, x, y, attack.epsilons)[:, clip], row.attacked, strict=True
            ):
                if outcome.played is None:
                    continue
                waveform = sounds()[clip][: (FRAMES - 1) * HOP + WINDOW]
                frames = len(LogMel()(waveform))
                change = fold((x_adv - x[clip]) * std, frames)
                sound = play(LogMel(), waveform, change)
                again = (tile(LogMel()(sound), FRAMES) - mean) / std
                assert outcome.played.prediction == int(net(again[None]).argmax())
                assert outcome.played.snr_db == pytest.approx(
                    float(snr_db(waveform, sound)), abs=0.01
                )
                heard.append(outcome.played.prediction)
        assert len(heard) >= 5
        assert len(set(heard)) > 1

    def test_a_short_clip_keeps_its_length_and_a_long_one_is_cut(self) -> None:
        lengths = [
            len(audit(audible=True).played(n, torch.zeros(FRAMES, MELS))[1]) for n in (0, 13)
        ]
        assert lengths == [1500, (FRAMES - 1) * HOP + WINDOW]


class Steep(nn.Module):
    """`Bands` with its weights times a factor: the same predictions, but a steep softmax."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.bands = Bands()
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.bands(x) * self.factor
        return logits


class Spoilt(nn.Module):
    """`Bands` that answers ``value`` for clips whose loudest value is above ``above``."""

    def __init__(self, value: float, above: float = -1e9) -> None:
        super().__init__()
        self.bands = Bands()
        self.value, self.above = value, above

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.bands(x)
        return torch.where(x.amax(dim=(1, 2))[:, None] > self.above, self.value, logits)


class TestWithoutAGradient:
    """What an attack could not even try is no evidence of robustness."""

    def test_a_saturated_softmax_looks_robust_and_is_counted(self) -> None:
        attack = Attack((0.0, 0.2, 1.0))
        labels = [row.clean.prediction for row in rows_of(audit(attack))]
        names = ["a", "b", "c"]
        plain = summarize(rows_of(audit(attack, labels=labels)), names, [attack])["curve"]
        steep = summarize(
            rows_of(audit(attack, labels=labels, net=Steep(1e4).eval())), names, [attack]
        )["curve"]
        assert plain[2]["success_rate"] > 0.3
        assert [point["no_gradient"] for point in plain] == [0, 0, 0]
        assert [point["success_rate"] for point in steep] == [0, 0, 0]
        assert [point["no_gradient"] for point in steep] == [0, 14, 14]

    def test_it_is_told_of_each_clip_and_strength(self) -> None:
        (row,) = rows_of(audit(Attack((0.0, 0.2)), net=Steep(1e4).eval()))[:1]
        assert [outcome.no_gradient for outcome in row.attacked] == [False, True]
        assert row.clean.no_gradient is False

    def test_a_gradient_that_is_not_a_number_counts_too(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        real = attacks_module.fgsm.__globals__["input_gradient"]

        def spoilt(net: nn.Module, x: Tensor, y: Tensor) -> Tensor:
            gradient: Tensor = real(net, x, y)
            gradient[1:2] = torch.nan
            gradient[2:3, 0, 0] = torch.nan
            return gradient

        monkeypatch.setitem(attacks_module.fgsm.__globals__, "input_gradient", spoilt)
        rows = rows_of(audit(Attack((0.2,))))
        assert [row.attacked[0].no_gradient for row in rows[:4]] == [False, True, True, False]
        assert rows[1].attacked[0].scores == rows[1].clean.scores

    def test_one_value_that_moves_is_a_direction(self) -> None:
        x = torch.ones(2, 3, 4)
        x_adv = x.clone()
        x_adv[1, 2, 3] += 0.1
        assert without_direction(x, x_adv, 0.1).tolist() == [True, False]

    def test_nothing_is_asked_of_a_budget_that_rounding_swallows(self) -> None:
        x = torch.ones(1, 3)
        assert without_direction(x, x.clone(), 0.0).tolist() == [False]
        assert without_direction(x, x.clone(), 1e-9).tolist() == [False]
        assert without_direction(x, x.clone(), 1e-6).tolist() == [True]


class TestScoresThatAreNoNumbers:
    """argmax takes NaN for the largest score: such a model would look right, and robust."""

    @pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
    def test_end_the_audit(self, value: float) -> None:
        with pytest.raises(AuditError, match=r"4 of 4 clips .* its weights overflow") as caught:
            rows_of(audit(net=Spoilt(value).eval()))
        assert caught.value.code == "non_finite_scores"

    def test_also_if_only_the_attacked_clip_has_them(self) -> None:
        x, _ = audit().inputs(torch.arange(14))
        above = float(x.max()) + 0.1
        rows_of(audit(Attack((0.05,)), net=Spoilt(torch.nan, above).eval()))
        with pytest.raises(AuditError, match="NaN or infinity"):
            rows_of(audit(Attack((0.05, 1.0)), net=Spoilt(torch.nan, above).eval()))

    def test_a_training_does_not_report_them_either(self) -> None:
        data = dataset()
        with pytest.raises(AuditError):
            robust_uar(Spoilt(torch.nan), data.standardizer(), data, [], frames=FRAMES)


class TestAttack:
    @pytest.mark.parametrize(
        ("options", "match"),
        [
            ({"type": "deepfool"}, r"unknown attack 'deepfool': choose one of \['fgsm'"),
            ({"epsilons": ()}, "epsilons is empty"),
            ({"epsilons": (0.1, -0.02)}, r"epsilons hold -0\.02"),
            ({"epsilons": (math.nan,)}, "epsilons hold nan"),
            ({"epsilons": (math.inf,)}, "epsilons hold inf"),
            ({"labels": "guessed"}, "labels is 'guessed'"),
            ({"clip": 0.0}, r"clip is 0\.0"),
            ({"clip": -0.1}, r"clip is -0\.1"),
            ({"clip": math.nan}, "clip is nan"),
        ],
    )
    def test_nonsense_is_refused_when_it_is_made(self, options: dict[str, Any], match: str) -> None:
        with pytest.raises(ValueError, match=match):
            Attack(**({"epsilons": (0.1,)} | options))

    def test_its_budget_is_the_smaller_of_epsilon_and_clip(self) -> None:
        assert Attack((0.3,)).budget(0.3) == 0.3
        assert Attack((0.3,), clip=0.1).budget(0.3) == 0.1
        assert Attack((0.3,), clip=0.5).budget(0.3) == 0.3

    @pytest.mark.usefixtures("reckless")
    def test_the_clip_holds_whatever_an_attack_returns(self) -> None:
        one = audit(Attack((0.5,), type="reckless", clip=0.1))
        x, y = one.inputs(torch.arange(4))
        (little,) = one.adversarial(one.attacks[0], x, y)
        assert float((little - x).abs().max()) == pytest.approx(0.1, abs=1e-6)


class TestRow:
    def test_an_attack_succeeds_on_what_was_right(self) -> None:
        assert row(0, 0, 0, 1).broken(0) is False
        assert row(0, 0, 0, 1).broken(1) is True
        assert row(0, 1, 1, 0).broken(1) is None

    def test_without_a_label_on_any_change(self) -> None:
        assert row(None, 1, 1, 0).broken(0) is False
        assert row(None, 1, 1, 0).broken(1) is True


class TestProject:
    def test_keeps_what_is_within(self) -> None:
        x = torch.zeros(3)
        assert torch.equal(
            project(x, torch.tensor([0.1, -0.1, 0.0]), 0.2), torch.tensor([0.1, -0.1, 0])
        )

    def test_brings_back_what_is_beyond(self) -> None:
        wild = torch.tensor([9.0, -9.0, torch.nan, torch.inf, -torch.inf])
        expected = torch.tensor([1.2, 0.8, 1.0, 1.2, 0.8])
        assert torch.allclose(project(torch.ones(5), wild, 0.2), expected)


def row(label: int | None, clean: int, *attacked: int | tuple[int, int, float]) -> Row:
    """Predictions alone; (prediction, prediction as audio, dB) for what was played."""
    outcomes = [
        Outcome(one, ()) if isinstance(one, int) else Outcome(one[0], (), Played(*one[1:]))
        for one in attacked
    ]
    return Row(label, Outcome(clean, ()), tuple(outcomes))


class TestSummary:
    ROWS = (
        row(0, 0, 0, (1, 1, 20.0)),  # right, then broken, and that survives
        row(0, 0, 0, (1, 0, 30.0)),  # right, then broken, but not as sound
        row(0, 1, 1, 0),  # wrong, then repaired
        row(1, 1, 1, 1),  # right all along
        row(1, 0, 0, 0),  # wrong all along
    )
    ATTACK = Attack((0.0, 0.1))

    def test_adds_up_as_by_hand(self) -> None:
        result = summarize(self.ROWS, ["anger", "fear", "joy"], [self.ATTACK])
        assert result["n"] == 5
        assert result["clean"]["uar"] == pytest.approx((2 / 3 + 1 / 2) / 2)
        assert result["clean"]["accuracy"] == pytest.approx(3 / 5)
        assert result["clean"]["recall"] == {"anger": 2 / 3, "fear": 0.5, "joy": None}
        assert result["clean"]["confusion"] == [[2, 1, 0], [1, 1, 0], [0, 0, 0]]
        zero, tenth = result["curve"]
        assert (zero["attack"], zero["labels"], zero["epsilon"]) == ("fgsm", "true", 0.0)
        assert tenth["uar"] == pytest.approx((1 / 3 + 1 / 2) / 2)
        assert tenth["accuracy"] == pytest.approx(2 / 5)
        assert tenth["confusion"] == [[1, 2, 0], [1, 1, 0], [0, 0, 0]]
        assert tenth["counts"] == {
            "right_wrong": 2,
            "right_right": 1,
            "wrong_right": 1,
            "wrong_wrong": 1,
        }

    def test_success_is_counted_over_the_clips_that_were_right(self) -> None:
        zero, tenth = summarize(self.ROWS, ["a", "b", "c"], [self.ATTACK])["curve"]
        assert zero["success_rate"] == 0
        assert tenth["success_rate"] == pytest.approx(2 / 3)

    def test_survival_is_the_share_of_the_successes_that_are_still_wrong_as_sound(self) -> None:
        zero, tenth = summarize(self.ROWS, ["a", "b", "c"], [self.ATTACK])["curve"]
        assert (zero["survives_as_audio"], zero["snr_db"]) == (None, None)
        assert (tenth["survives_as_audio"], tenth["played"], tenth["snr_db"]) == (0.5, 2, 25.0)

    def test_nothing_right_leaves_the_success_rate_open(self) -> None:
        (point,) = summarize([row(0, 1, 1)], ["a", "b"], [Attack((0.1,))])["curve"]
        assert point["success_rate"] is None
        assert point["uar"] == 0

    def test_without_labels_a_changed_prediction_is_a_success_and_uar_stays_open(self) -> None:
        rows = [row(None, 0, (1, 1, 20.0)), row(None, 1, 1), row(None, 2, (0, 2, 10.0))]
        result = summarize(rows, ["a", "b", "c"], [Attack((0.1,))])
        assert result["n_unlabelled"] == 3
        assert result["clean"] == {
            "uar": None,
            "accuracy": None,
            "recall": None,
            "confusion": None,
        }
        (point,) = result["curve"]
        assert point["uar"] is None
        assert point["success_rate"] == pytest.approx(2 / 3)
        assert point["survives_as_audio"] == 0.5
        assert point["unlabelled"] == {"n": 3, "flipped": 2, "flip_rate": pytest.approx(2 / 3)}

    def test_with_some_labels_the_figures_are_those_of_the_labelled_clips(self) -> None:
        rows = [
            row(0, 0, 0),
            row(0, 0, (1, 1, 20.0)),
            row(None, 0, (1, 0, 90.0)),
            row(None, 1, 1),
            row(None, 1, 1),
        ]
        result = summarize(rows, ["a", "b"], [Attack((0.1,))])
        (point,) = result["curve"]
        assert (result["n"], result["n_unlabelled"]) == (5, 3)
        assert (point["uar"], point["success_rate"]) == (0.5, 0.5)
        assert (point["survives_as_audio"], point["played"], point["snr_db"]) == (1, 1, 20)
        assert point["unlabelled"] == {"n": 3, "flipped": 1, "flip_rate": pytest.approx(1 / 3)}

    def test_no_clips_have_no_result(self) -> None:
        with pytest.raises(ValueError, match="score at least one"):
            summarize([], ["a", "b"], [])

    def test_points_are_all_attacks_at_all_their_strengths(self) -> None:
        true, own = Attack((0.1, 0.2)), Attack((0.3,), labels="predicted")
        assert [(point.attack, point.epsilon) for point in points([true, own])] == [
            (true, 0.1),
            (true, 0.2),
            (own, 0.3),
        ]


class TestRobustUar:
    def test_is_what_an_audit_says(self) -> None:
        data = dataset()
        one = audit(Attack((0.1, 0.3)))
        result = summarize(rows_of(one), ["a", "b", "c"], one.attacks)
        clean, robust = robust_uar(
            Bands(), data.standardizer(), data, [0.1, 0.3], frames=FRAMES, batch_size=4
        )
        assert clean == result["clean"]["uar"]
        assert robust == {point["epsilon"]: point["uar"] for point in result["curve"]}
        assert robust[0.3] < clean

    def test_is_the_uar_of_the_plain_predictions(self) -> None:
        data = dataset()
        standardizer: Standardizer = data.standardizer()
        features, y = data.batch(torch.arange(14), FRAMES)
        expected = uar(y, Bands().eval()(standardizer(features)).argmax(dim=1), CLASSES)
        assert robust_uar(Bands(), standardizer, data, [], frames=FRAMES) == (expected, {})

    def test_attacks_the_label_that_it_is_told_to(self) -> None:
        data = dataset()
        options: dict[str, Any] = {"frames": FRAMES, "batch_size": 4}
        robust = {}
        for labels in get_args(AttackLabels):
            one = audit(Attack((0.1, 0.3), labels=labels))
            curve = summarize(rows_of(one), ["a", "b", "c"], one.attacks)["curve"]
            _, robust[labels] = robust_uar(
                Bands(), data.standardizer(), data, [0.1, 0.3], labels=labels, **options
            )
            assert robust[labels] == {point["epsilon"]: point["uar"] for point in curve}
        assert robust["true"] != robust["predicted"]

    def test_needs_labels(self) -> None:
        data = dataset([NO_LABEL] * 14)
        with pytest.raises(ValueError, match="labelled"):
            robust_uar(Bands(), data.standardizer(), data, [0.1], frames=FRAMES)
