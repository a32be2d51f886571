"""Our networks as victims: the two views are the same model, and a long clip is heard whole."""

from collections.abc import Callable
from typing import get_args

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from models.features import HOP, MELS, WINDOW, LogMel, Standardizer
from models.objectives import Loss, Objective
from models.serving import FastCNN4
from models.threats import Domain
from models.victims import SpectrogramVictim, View, Windows
from tests.models.lived_in import lived_in, state_of
from tests.models.lively import lively
from tests.models.tiny import tiny_net
from tests.models.victims.spectrogram import (
    FRAMES,
    LABELS,
    inputs,
    samples,
    standardizer,
    victim,
)

F64 = torch.float64
every_view = pytest.mark.parametrize("domain", get_args(Domain))
SHORT, LONG = 11, 75
"""Frames of clips that are shorter and longer than the window."""


def by_hand(net: nn.Module, statistics: Standardizer, sound: Tensor) -> Tensor:
    """Probabilities of a sound (samples,), written out: log-mels, z-score, windows, mean."""
    log_mels = LogMel().to(sound.dtype)(sound)
    x = (log_mels - statistics.mean) / statistics.std
    if len(x) <= FRAMES:
        parts = [torch.cat([x] * FRAMES)[:FRAMES]]
    else:
        starts = [*range(0, len(x) - FRAMES, FRAMES // 2), len(x) - FRAMES]
        parts = [x[start : start + FRAMES] for start in starts]
    return torch.stack([net(part[None])[0].softmax(dim=0) for part in parts]).mean(dim=0)


def slope(view: View, x: Tensor, objective: Objective, direction: Tensor) -> float:
    """The change of the summed objective along a direction, by central differences."""
    size = 1e-6
    higher, lower = (
        objective.values(view.scores(x + sign * size * direction)).sum() for sign in (1, -1)
    )
    return float(higher - lower) / (2 * size)


class TestWhatItIs:
    def test_offers_both_views_and_everything_that_can_be_asked(self) -> None:
        one = victim()
        assert one.domains == set(get_args(Domain))
        assert (one.labels, one.sample_rate, one.access.name) == (LABELS, 16_000, "GRADIENTS")
        for domain in get_args(Domain):
            view = one.view(domain)
            assert (view.labels, view.domain) == (LABELS, domain)

    def test_has_no_other_view(self) -> None:
        with pytest.raises(LookupError, match="no view 'video'"):
            victim().view("video")  # type: ignore[arg-type]


class TestFeaturesOfAClip:
    def test_are_z_scored(self) -> None:
        log_mels = torch.randn(FRAMES, MELS)
        own = standardizer()
        assert torch.equal(victim().features(log_mels), (log_mels - own.mean) / own.std)

    def test_of_a_short_one_are_tiled(self) -> None:
        x = victim().features(torch.randn(SHORT, MELS))
        assert x.shape == (FRAMES, MELS)
        assert torch.equal(x[SHORT : 2 * SHORT], x[:SHORT])
        assert torch.equal(x[2 * SHORT :], x[: FRAMES - 2 * SHORT])

    def test_of_a_long_one_are_all_of_it_or_the_first_window(self) -> None:
        log_mels = torch.randn(LONG, MELS)
        whole = victim(windows="all").features(log_mels)
        first = victim(windows="first").features(log_mels)
        assert whole.shape == (LONG, MELS)
        assert torch.equal(first, whole[:FRAMES])


class TestWaveformOfAClip:
    def test_is_all_of_it_or_what_the_first_window_hears(self) -> None:
        sound = torch.randn(samples(LONG) + 5)
        assert torch.equal(victim(windows="all").waveform(sound), sound)
        first = victim(windows="first").waveform(sound)
        assert torch.equal(first, sound[: samples(FRAMES)])
        assert len(LogMel()(first)) == FRAMES

    def test_of_a_short_one_is_never_tiled(self) -> None:
        sound = torch.randn(samples(SHORT))
        assert torch.equal(victim(windows="first").waveform(sound), sound)


class TestWindowsOf:
    @pytest.mark.parametrize("frames", [1, FRAMES - 1, FRAMES, FRAMES + 1, 60, 61, LONG, 500])
    @every_view
    def test_is_how_often_the_network_is_asked(self, domain: Domain, frames: int) -> None:
        asked: list[int] = []

        class Asked(nn.Module):
            def forward(self, x: Tensor) -> Tensor:
                asked.append(len(x))
                return x.mean(dim=(1, 2))[:, None].expand(-1, 3)

        one = victim(Asked())
        x, _ = inputs(domain, n=1, frames=frames)
        one.view(domain).scores(x)
        assert asked == [one.windows_of(x.shape[1:], domain)]


class TestScores:
    @pytest.mark.parametrize("frames", [SHORT, FRAMES, LONG])
    def test_of_a_waveform_are_log_mels_z_scored_and_scored(self, frames: int) -> None:
        net = tiny_net().double().eval()
        sounds, _ = inputs("waveform", frames=frames, dtype=F64)
        said = victim(net, dtype=F64).view("waveform").scores(sounds).softmax(dim=1)
        expected = torch.stack([by_hand(net, standardizer(0, F64), sound) for sound in sounds])
        torch.testing.assert_close(said, expected, rtol=1e-12, atol=1e-12)

    @pytest.mark.parametrize("windows", get_args(Windows))
    @pytest.mark.parametrize("frames", [SHORT, FRAMES, LONG])
    def test_of_both_views_of_a_clip_are_the_same(self, frames: int, windows: Windows) -> None:
        one = victim(dtype=F64, windows=windows)
        sounds, _ = inputs("waveform", frames=frames, dtype=F64)
        heard = torch.stack([one.waveform(sound) for sound in sounds])
        seen = torch.stack([one.features(one.log_mel(sound)) for sound in sounds])
        torch.testing.assert_close(
            one.view("features").scores(seen),
            one.view("waveform").scores(heard),
            rtol=1e-12,
            atol=1e-12,
        )

    def test_of_a_long_clip_are_the_mean_probability_of_its_windows(self) -> None:
        net = tiny_net().double().eval()
        x, _ = inputs("features", frames=LONG, dtype=F64)
        said = victim(net, dtype=F64).view("features").scores(x).softmax(dim=1)
        windows = [x[:, start : start + FRAMES] for start in (0, 20, LONG - FRAMES)]
        expected = torch.stack([net(window).softmax(dim=1) for window in windows]).mean(dim=0)
        torch.testing.assert_close(said, expected, rtol=1e-12, atol=1e-12)
        assert not torch.allclose(said, net(windows[0]).softmax(dim=1), atol=1e-4)

    def test_of_a_long_clip_by_its_first_window_are_the_papers(self) -> None:
        net = tiny_net().double().eval()
        one = victim(net, dtype=F64, windows="first")
        log_mels = torch.randn(LONG, MELS, dtype=F64)
        said = one.view("features").scores(one.features(log_mels)[None])
        expected = net(standardizer(0, F64)(log_mels[None, :FRAMES]))
        assert torch.equal(said, expected)

    def test_have_the_logits_of_the_network_where_there_is_one_window(self) -> None:
        """An attack on the margin must see logits, whatever their sum."""
        net = tiny_net().double().eval()
        x, _ = inputs("features", dtype=F64)
        assert torch.equal(victim(net, dtype=F64).view("features").scores(x), net(x))

    def test_come_from_the_network_as_it_is_served(self) -> None:
        net = lively("cnn4").float()
        one = SpectrogramVictim(net, standardizer(), tuple("abcde"), 48)
        assert isinstance(one.scorer, FastCNN4)
        x, _ = inputs("features", n=2, frames=48)
        said = one.view("features").scores(x)
        assert torch.equal(said, one.scorer(x))
        torch.testing.assert_close(said, net(x), rtol=0, atol=1e-3)

    @every_view
    def test_of_a_clip_know_nothing_of_those_beside_it(self, domain: Domain) -> None:
        view = victim(dtype=F64).view(domain)
        x, _ = inputs(domain, frames=LONG, dtype=F64)
        together = view.scores(x)
        for row in range(len(x)):
            torch.testing.assert_close(
                view.scores(x[row : row + 1]), together[row : row + 1], rtol=1e-10, atol=1e-12
            )


class TestFrontEnd:
    """`logmel-2` looks at the whole recording, and does not hear silence."""

    @pytest.mark.parametrize("windows", get_args(Windows))
    @pytest.mark.parametrize("frames", [SHORT, FRAMES, LONG])
    def test_both_views_of_a_clip_are_scored_the_same(self, frames: int, windows: Windows) -> None:
        one = victim(dtype=F64, windows=windows, front_end="logmel-2")
        sounds, _ = inputs("waveform", n=2, frames=frames, dtype=F64)
        gated = [
            torch.cat([sound.new_zeros(2_000), sound, sound.new_zeros(700)]) for sound in sounds
        ]
        heard = torch.stack([one.waveform(sound) for sound in gated])
        seen = torch.stack([one.features(one.log_mel(sound)) for sound in gated])
        torch.testing.assert_close(
            one.view("features").scores(seen),
            one.view("waveform").scores(heard),
            rtol=1e-12,
            atol=1e-12,
        )

    def test_clips_of_which_different_parts_are_heard_are_scored_together(self) -> None:
        one = victim(dtype=F64, front_end="logmel-2")
        sounds, _ = inputs("waveform", n=3, frames=LONG, dtype=F64)
        sounds[1, : samples(LONG) // 2] = 0
        sounds[2, samples(LONG - FRAMES // 2) :] = 0
        view = one.view("waveform")
        together = view.scores(sounds)
        for row in range(len(sounds)):
            torch.testing.assert_close(view.scores(sounds[row : row + 1])[0], together[row])

    def test_its_gradient_is_the_slope(self) -> None:
        view = victim(dtype=F64, front_end="logmel-2").view("waveform")
        x, y = inputs("waveform", n=2, frames=LONG, dtype=F64)
        objective = Objective(y)
        gradient, _, _ = view.gradient(x, objective)
        direction = torch.randn(x.shape, generator=torch.Generator().manual_seed(3), dtype=F64)
        expected = slope(view, x, objective, direction)
        assert float((gradient * direction).sum()) == pytest.approx(expected, rel=1e-4)

    def test_features_mean_nothing_to_a_model_that_hears_otherwise(self) -> None:
        other = victim(front_end="logmel-2")
        view = victim().view("features", {"other": other})
        with pytest.raises(LookupError, match="front end logmel-2, this one logmel-1"):
            view.other("other")
        assert victim().view("waveform", {"other": other}).other("other").domain == "waveform"


class TestGradient:
    @pytest.mark.parametrize("loss", get_args(Loss))
    @pytest.mark.parametrize("frames", [SHORT, FRAMES, LONG])
    @every_view
    def test_is_the_slope_of_the_summed_objective(
        self, domain: Domain, frames: int, loss: Loss
    ) -> None:
        """Through tiling, windows and, of a waveform, the front end."""
        view = victim(dtype=F64).view(domain)
        x, y = inputs(domain, n=3, frames=frames, dtype=F64)
        objective = Objective(y, loss)
        gradient, values, logits = view.gradient(x, objective)
        noise = torch.Generator().manual_seed(3)
        for _ in range(3):
            direction = torch.randn(x.shape, generator=noise, dtype=F64)
            expected = slope(view, x, objective, direction)
            assert float((gradient * direction).sum()) == pytest.approx(expected, rel=1e-4)
        torch.testing.assert_close(logits, view.scores(x))
        assert torch.equal(values, objective.values(logits))

    def test_through_the_front_end_passes_torchs_own_check(self) -> None:
        """Value by value, for a smooth network."""
        smooth = nn.Sequential(nn.Flatten(), nn.Linear(4 * MELS, 3), nn.Tanh())
        one = victim(smooth, dtype=F64, frames=4)
        sounds = inputs("waveform", n=1, frames=3, dtype=F64)[0].requires_grad_(True)

        def logits(x: Tensor) -> Tensor:
            return one.logits(one.net, x, "waveform")

        assert torch.autograd.gradcheck(logits, sounds)

    @every_view
    def test_of_a_clip_is_the_same_in_every_batch(
        self, domain: Domain, device: torch.device
    ) -> None:
        x, y = (part.to(device) for part in inputs(domain, n=6, dtype=F64))
        view = victim(dtype=F64, device=device).view(domain)
        together = view.gradient(x, Objective(y)).gradient
        for row in range(6):
            one = slice(row, row + 1)
            alone = view.gradient(x[one], Objective(y[one])).gradient
            torch.testing.assert_close(together[one], alone, rtol=1e-8, atol=1e-15)

    def test_needs_no_trainable_parameter(self) -> None:
        view = victim(tiny_net().requires_grad_(False)).view("features")
        x, y = inputs("features")
        assert bool((view.gradient(x, Objective(y)).gradient != 0).any())

    @every_view
    def test_is_detached_and_leaves_none_behind(self, domain: Domain) -> None:
        x, y = inputs(domain)
        x.requires_grad_(True)
        told = victim().view(domain).gradient(x, Objective(y))
        assert not any(part.requires_grad for part in told)
        assert x.grad is None

    @every_view
    def test_is_the_same_where_gradients_are_switched_off(self, domain: Domain) -> None:
        view = victim().view(domain)
        x, y = inputs(domain)
        expected = view.gradient(x, Objective(y)).gradient
        with torch.no_grad():
            assert torch.equal(view.gradient(x, Objective(y)).gradient, expected)

    def test_at_digital_silence_is_zero(self) -> None:
        """It has no phase in which a tone could rise; NaN would be taken for a broken model."""
        x = torch.zeros(2, samples(FRAMES))
        gradient = victim().view("waveform").gradient(x, Objective(torch.tensor([0, 1]))).gradient
        assert torch.equal(gradient, x)


def ask_scores(view: View, x: Tensor, y: Tensor) -> None:
    view.scores(x)


def ask_gradient(view: View, x: Tensor, y: Tensor) -> None:
    view.gradient(x, Objective(y))


Ask = Callable[[View, Tensor, Tensor], None]
every_ask = pytest.mark.parametrize("ask", [ask_scores, ask_gradient])


class Falling(nn.Module):
    """A network that fails in its second layer, or on its way back."""

    def __init__(self, net: nn.Module, backward: bool) -> None:
        super().__init__()
        self.net = net
        self.backward = backward

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.net(x)
        if not self.backward:
            raise RuntimeError("out of memory")
        logits.register_hook(self.fall)  # type: ignore[no-untyped-call]
        return logits

    def fall(self, gradient: Tensor) -> Tensor:
        raise RuntimeError("out of memory")


class TestTheNetworkStaysAsItWas:
    @every_view
    @every_ask
    def test_parameters_buffers_gradients_and_flags(
        self, ask: Ask, domain: Domain, device: torch.device
    ) -> None:
        net = lived_in(tiny_net().to(device))
        before = state_of(net)
        ask(victim(net, device=device).view(domain), *(part.to(device) for part in inputs(domain)))
        assert state_of(net) == before

    @pytest.mark.parametrize("training", [True, False])
    @every_ask
    def test_in_train_and_in_eval_mode(self, ask: Ask, training: bool) -> None:
        net = tiny_net().train(training)
        before = state_of(net)
        ask(victim(net).view("features"), *inputs("features"))
        assert state_of(net) == before

    @pytest.mark.parametrize(
        ("ask", "backward"),
        [(ask_scores, False), (ask_gradient, False), (ask_gradient, True)],
        ids=["scores", "forward", "backward"],
    )
    def test_when_the_network_raises(self, ask: Ask, backward: bool) -> None:
        net = lived_in(Falling(tiny_net(), backward))
        before = state_of(net)
        with pytest.raises(RuntimeError, match="out of memory"):
            ask(victim(net).view("features"), *inputs("features"))
        assert state_of(net) == before

    @every_ask
    def test_and_is_asked_in_eval_mode(self, ask: Ask) -> None:
        """With the statistics of the batch, a clip's scores would hang on those beside it."""
        modes: list[bool] = []

        class Noting(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.net = tiny_net()

            def forward(self, x: Tensor) -> Tensor:
                modes.append(any(module.training for module in self.modules()))
                logits: Tensor = self.net(x)
                return logits

        ask(victim(Noting().train()).view("features"), *inputs("features"))
        assert modes == [False]


class TestAnotherModel:
    """Its view, for input in the coordinates of the model that is audited."""

    def views(self, domain: Domain, *, frames: int = FRAMES) -> tuple[View, View]:
        """Of the audited model, that of another network; and that one's own."""
        other = victim(seed=1, dtype=F64, frames=frames)
        here = victim(seed=0, dtype=F64).view(domain, {"other": other})
        return here.other("other"), other.view(domain)

    def test_scores_the_same_log_mels_in_its_own_z_score(self) -> None:
        restated, own = self.views("features")
        log_mels = -5 + torch.randn(2, FRAMES, MELS, dtype=F64)
        said = restated.scores(standardizer(0, F64)(log_mels))
        torch.testing.assert_close(said, own.scores(standardizer(1, F64)(log_mels)))

    def test_the_gradient_is_in_the_coordinates_of_the_audited_model(self) -> None:
        restated, _ = self.views("features")
        x, y = inputs("features", n=2, dtype=F64)
        gradient = restated.gradient(x, Objective(y)).gradient
        direction = torch.randn(x.shape, generator=torch.Generator().manual_seed(2), dtype=F64)
        expected = slope(restated, x, Objective(y), direction)
        assert float((gradient * direction).sum()) == pytest.approx(expected, rel=1e-5)

    def test_of_the_same_statistics_is_its_own_view_to_the_bit(self) -> None:
        other = victim(tiny_net(seed=1))
        here = victim().view("features", {"twin": other}).other("twin")
        x, y = inputs("features")
        assert torch.equal(here.scores(x), other.view("features").scores(x))
        ours, theirs = (view.gradient(x, Objective(y)) for view in (here, other.view("features")))
        assert torch.equal(ours.gradient, theirs.gradient)

    def test_hears_a_waveform_as_it_is(self) -> None:
        restated, own = self.views("waveform")
        sounds, _ = inputs("waveform", dtype=F64)
        assert torch.equal(restated.scores(sounds), own.scores(sounds))

    @pytest.mark.parametrize("frames", [34, 50])
    def test_of_another_window_tiles_or_cuts(self, frames: int) -> None:
        restated, own = self.views("features", frames=frames)
        log_mels = -5 + torch.randn(2, FRAMES, MELS, dtype=F64)
        said = restated.scores(standardizer(0, F64)(log_mels))
        torch.testing.assert_close(said, own.scores(standardizer(1, F64)(log_mels)))

    def test_that_was_not_given_is_named(self) -> None:
        with pytest.raises(LookupError, match="the audit was given no model 'mine'"):
            victim().view("features").other("mine")

    def test_with_labels_in_another_order_is_refused(self) -> None:
        """Attacks go by the number of a label: the wrong one would be attacked."""
        other = SpectrogramVictim(tiny_net(), standardizer(), ("cross", "calm", "sad"), FRAMES)
        with pytest.raises(LookupError, match="'mine' has labels cross, calm, sad"):
            victim().view("waveform", {"mine": other}).other("mine")


def test_samples_of_the_tests_fill_their_frames() -> None:
    assert samples(FRAMES) == (FRAMES - 1) * HOP + WINDOW
    assert len(LogMel()(torch.zeros(samples(FRAMES)))) == FRAMES


def test_cross_entropy_is_what_an_attack_sees() -> None:
    """The objective's values are torch's own loss of the answered logits."""
    x, y = inputs("features")
    told = victim().view("features").gradient(x, Objective(y))
    expected = functional.cross_entropy(told.logits, y, reduction="none")
    torch.testing.assert_close(told.values, expected)
