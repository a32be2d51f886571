"""Training: it learns, resumes to the bit, and follows the protocol."""

import copy
import json
import math
import re
from collections.abc import Callable
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from models import training
from models.attacks import ATTACKS
from models.corpus.dataset import Dataset
from models.defenses import DEFENSES
from models.defenses.single import Single
from models.features import Standardizer, tile
from models.precision import full_float32
from models.training import Diverged, Step, TrainingState, adversary, batch_indices, train
from models.training_plan import TrainingPlan

pytestmark = pytest.mark.usefixtures("tiny_architecture")

MELS = 32
FRAMES = 32


class Killed(BaseException):
    """Ends a run between two iterations."""


def corpus(n_clips: int = 18, seed: int = 0) -> Dataset:
    """Three classes that differ in the band that is loud; clips of 20 to 50 frames."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(n_clips) % 3
    lengths = torch.randint(20, 51, (n_clips,), generator=generator)
    pieces = []
    for label, length in zip(labels.tolist(), lengths.tolist(), strict=True):
        clip = torch.randn(length, MELS, generator=generator)
        clip[:, 10 * label : 10 * label + 10] += 2
        pieces.append(clip)
    offsets = torch.cat([torch.zeros(1, dtype=torch.int64), lengths.cumsum(0)])
    return Dataset(torch.cat(pieces), offsets, labels)


def plan(defense: str = "single", **changes: Any) -> TrainingPlan:
    values: dict[str, Any] = {
        "architecture": "tiny",
        "n_classes": 3,
        "defense": {"type": defense},
        "epsilon": 0.1,
        "iterations": 12,
        "adversarial_from": 4,
        "batch_size": 6,
        "learning_rate": 0.01,
        "decay_every": 5,
        "frames": FRAMES,
        "seed": 1,
    }
    return TrainingPlan(**{**values, **changes})


def nobody(step: Step) -> None:
    """Watches nothing."""


def run(
    state: TrainingState, data: Dataset | None = None, on_step: Callable[[Step], None] = nobody
) -> dict[str, Tensor]:
    """Train to the end; everything the network then holds, on the CPU."""
    device = next(state.net.parameters()).device
    data = (data or corpus()).to(device)
    net = train(state, data, data.standardizer().to(device), on_step)
    return {name: value.cpu() for name, value in net.state_dict().items()}


def parts(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors and metadata of a checkpoint."""
    with safe_open(path, framework="pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}, file.metadata()  # noqa: SIM118


def assert_equal(first: dict[str, Tensor], second: dict[str, Tensor]) -> None:
    assert first.keys() == second.keys()
    for name, value in first.items():
        assert torch.equal(value, second[name]), name


class TestLearning:
    @pytest.mark.parametrize("defense", list(DEFENSES))
    def test_a_separable_corpus_is_learned(self, defense: str, device: torch.device) -> None:
        long = plan(defense, iterations=80, adversarial_from=20, decay_every=100)
        state = TrainingState(long, device)
        data = corpus().to(device)
        steps: list[Step] = []
        run(state, data, steps.append)

        unseen = corpus(30, seed=9).to(device)
        features, y = unseen.batch(torch.arange(30), FRAMES)
        guess = state.net(data.standardizer()(features)).argmax(dim=1)
        assert float((guess == y).double().mean()) > 0.9
        assert steps[-1].loss < steps[0].loss / 2

    def test_the_defence_withstands_what_breaks_an_undefended_network(self) -> None:
        robust = {}
        for defense in ("single", "vanilla"):
            settled = plan(defense, iterations=150, adversarial_from=30, epsilon=0.7, decay=1.0)
            state = TrainingState(settled)
            run(state)
            x, y = corpus().batch(torch.arange(18), FRAMES)
            x_adv = adversary(state, 18).batch(corpus().standardizer()(x), y)
            robust[defense] = float((state.net(x_adv).argmax(dim=1) == y).double().mean())
        assert robust["vanilla"] > robust["single"]

    def test_the_last_model_is_answered_in_eval_mode(self) -> None:
        state = TrainingState(plan())
        data = corpus()
        net = train(state, data, data.standardizer(), nobody)
        assert net is state.net
        assert not any(module.training for module in net.modules())
        assert state.iteration == 12

    def test_every_iteration_is_in_train_mode_whoever_watches(self) -> None:
        """A watcher evaluates the network now and then, and may forget to put it back."""
        state, again = TrainingState(plan()), TrainingState(plan())
        watched = run(state, on_step=lambda step: void(state.net.eval()))
        assert_equal(watched, run(again))

    def test_is_a_function_of_plan_and_data(self) -> None:
        torch.manual_seed(1)
        first = run(TrainingState(plan()))
        torch.manual_seed(2)
        assert_equal(first, run(TrainingState(plan())))
        other = run(TrainingState(plan(seed=2)))
        assert not torch.equal(first["classifier.weight"], other["classifier.weight"])

    def test_making_a_state_leaves_the_global_generator_alone(self) -> None:
        before = torch.random.get_rng_state()
        TrainingState(plan())
        assert torch.equal(torch.random.get_rng_state(), before)


def void(_: object) -> None:
    """Forget an answer."""


class TestResuming:
    @pytest.mark.parametrize("at", [1, 3, 4, 5, 9, 11, 12])
    @pytest.mark.parametrize("defense", ["vanilla", "similarity", "pgd", "trades"])
    def test_gives_the_weights_of_the_uninterrupted_run_to_the_bit(
        self, defense: str, at: int, tmp_path: Path
    ) -> None:
        """Before, at and after the entry of adversarial data; in the middle of an epoch."""
        path = tmp_path / "checkpoint.safetensors"
        losses: list[float] = []
        whole = run(TrainingState(plan(defense)), on_step=lambda step: losses.append(step.loss))

        killed = TrainingState(plan(defense))
        pieces: list[float] = []

        def save_and_die(step: Step) -> None:
            pieces.append(step.loss)
            if step.iteration == at:
                killed.save(path)
                raise Killed

        with pytest.raises(Killed):
            run(killed, on_step=save_and_die)

        resumed = TrainingState(plan(defense))
        resumed.load(path)
        assert resumed.iteration == at
        assert_equal(run(resumed, on_step=lambda step: pieces.append(step.loss)), whole)
        assert pieces == losses

    @pytest.mark.parametrize(
        "how",
        [{"precision": "bfloat16"}, {"crafting": "fused"}],
        ids=["bfloat16", "fused"],
    )
    def test_is_as_exact_however_it_trains(self, how: dict[str, str], tmp_path: Path) -> None:
        path = tmp_path / "checkpoint.safetensors"
        wanted = plan("vanilla", **how)
        whole = run(TrainingState(wanted))
        killed = TrainingState(wanted)

        def save_and_die(step: Step) -> None:
            if step.iteration == 7:
                killed.save(path)
                raise Killed

        with pytest.raises(Killed):
            run(killed, on_step=save_and_die)
        resumed = TrainingState(wanted)
        resumed.load(path)
        assert_equal(run(resumed), whole)

    def test_of_weights_balanced_batches_and_a_ramp_is_as_exact(self, tmp_path: Path) -> None:
        path = tmp_path / "checkpoint.safetensors"
        extra: dict[str, Any] = {
            "class_weights": {"1": 3.0},
            "sampling": "balanced",
            "epsilon_ramp": 6,
        }
        wanted = plan("vanilla", **extra)
        state = TrainingState(wanted)
        whole = run(state, on_step=lambda step: state.save(path) if step.iteration == 7 else None)
        resumed = TrainingState(wanted)
        resumed.load(path)
        assert_equal(run(resumed), whole)
        for name in extra:
            neutral = {key: value for key, value in extra.items() if key != name}
            other = run(TrainingState(plan("vanilla", **neutral)))
            assert not torch.equal(other["classifier.weight"], whole["classifier.weight"]), name

    def test_from_every_iteration_in_turn(self, tmp_path: Path) -> None:
        """Twelve lives of one iteration each."""
        path = tmp_path / "checkpoint.safetensors"
        final: dict[str, Tensor] = {}
        for life in range(12):
            state = TrainingState(plan("similarity"))
            if life:
                state.load(path)

            def one(step: Step, state: TrainingState = state) -> None:
                state.save(path)
                if step.iteration < 12:
                    raise Killed

            try:
                final = run(state, on_step=one)
            except Killed:
                assert state.iteration == life + 1
        assert_equal(final, run(TrainingState(plan("similarity"))))

    def test_continues_on_a_device(self, device: torch.device, tmp_path: Path) -> None:
        path = tmp_path / "checkpoint.safetensors"
        state = TrainingState(plan("vanilla"), device)
        whole = run(state, on_step=lambda step: state.save(path) if step.iteration == 6 else None)
        resumed = TrainingState(plan("vanilla"), device)
        resumed.load(path)
        for name, value in run(resumed).items():
            torch.testing.assert_close(value, whole[name], rtol=1e-3, atol=1e-4)

    @pytest.mark.gpu
    @pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
    @pytest.mark.parametrize("architecture", ["cnn4", "resnet50", "vgg16"])
    def test_so_does_each_network_on_a_gpu(self, architecture: str, tmp_path: Path) -> None:
        """In channels-last order, with the optimiser's moments in it."""
        wanted = plan("vanilla", architecture=architecture, learning_rate=1e-3)
        path = tmp_path / "checkpoint.safetensors"
        with full_float32():
            state = TrainingState(wanted, "cuda")
            whole = run(
                state, on_step=lambda step: state.save(path) if step.iteration == 6 else None
            )
            resumed = TrainingState(wanted, "cuda")
            resumed.load(path)
            for name, value in run(resumed).items():
                torch.testing.assert_close(value, whole[name], rtol=1e-3, atol=1e-4)

    @pytest.mark.gpu
    @pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
    def test_making_one_leaves_the_generators_of_a_gpu_alone(self) -> None:
        before = torch.cuda.get_rng_state()
        TrainingState(plan(), "cuda")
        assert torch.equal(torch.cuda.get_rng_state(), before)

    def test_a_finished_run_stays_finished(self, tmp_path: Path) -> None:
        path = tmp_path / "checkpoint.safetensors"
        state = TrainingState(plan())
        whole = run(state)
        state.save(path)
        again = TrainingState(plan())
        again.load(path)
        steps: list[Step] = []
        assert_equal(run(again, on_step=steps.append), whole)
        assert steps == []


class TestCheckpoint:
    def saved(self, path: Path, iteration: int, **changes: Any) -> Path:
        """A checkpoint after so many iterations of a plan."""
        state = TrainingState(plan(**changes))

        def stop(step: Step) -> None:
            if step.iteration == iteration:
                raise Killed

        if iteration:
            with pytest.raises(Killed):
                run(state, on_step=stop)
        state.save(path / "checkpoint.safetensors")
        return path / "checkpoint.safetensors"

    @pytest.mark.parametrize(
        "changes",
        [
            {"seed": 2},
            {"learning_rate": 0.02},
            {"batch_size": 3},
            {"frames": 33},
            {"decay": 0.5},
            {"decay_every": 6},
        ],
        ids=str,
    )
    def test_of_another_plan_is_refused(self, changes: dict[str, Any], tmp_path: Path) -> None:
        path = self.saved(tmp_path, 2)
        state = TrainingState(plan(**changes))
        before = {name: value.clone() for name, value in state.net.state_dict().items()}
        with pytest.raises(ValueError, match="iteration 2 belongs to another plan"):
            state.load(path)
        assert state.iteration == 0
        assert_equal(dict(state.net.state_dict()), before)

    @pytest.mark.parametrize(
        "changes",
        [
            {"defense": {"type": "similarity"}},
            {"defense": {"type": "vanilla", "alpha": 0.3}},
            {"epsilon": 0.5},
            {"iterations": 20},
            {"attack": {"type": "fgsm", "labels": "predicted"}},
            {"attack": {"type": "pgd", "steps": 2}},
            {"cooldown": 2},
        ],
        ids=str,
    )
    def test_of_a_plan_with_the_same_clean_phase_is_accepted_in_it(
        self, changes: dict[str, Any], tmp_path: Path
    ) -> None:
        """Several defences may share the iterations before adversarial data enter."""
        state = TrainingState(plan("vanilla").changed(**changes))
        state.load(self.saved(tmp_path, 4, defense="vanilla"))
        assert state.iteration == 4
        assert_equal(run(state), run(TrainingState(plan("vanilla").changed(**changes))))

    @pytest.mark.parametrize(
        ("changes", "named"),
        [
            ({"defense": {"type": "similarity"}}, "defense"),
            ({"epsilon": 0.5}, r"epsilon \(0\.1 there, 0\.5 here\)"),
            ({"crafting": "fused"}, r"crafting \(eval there, fused here\)"),
            ({"attack": {"type": "pgd"}}, "attack"),
        ],
    )
    def test_and_refused_behind_it_with_what_differs(
        self, changes: dict[str, Any], named: str, tmp_path: Path
    ) -> None:
        path = self.saved(tmp_path, 5, defense="vanilla")
        match = f"iteration 5 belongs to another plan: it differs in {named}"
        with pytest.raises(ValueError, match=match):
            TrainingState(plan("vanilla").changed(**changes)).load(path)

    def test_a_single_training_may_begin_a_defended_one(self, tmp_path: Path) -> None:
        path = self.saved(tmp_path, 4)
        state = TrainingState(plan("similarity"))
        state.load(path)
        assert_equal(run(state), run(TrainingState(plan("similarity"))))

    def test_but_not_with_iterations_in_which_the_defence_was_due(self, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match="another plan"):
            TrainingState(plan("similarity")).load(self.saved(tmp_path, 5))

    def test_nor_with_iterations_in_which_it_should_have_cooled(self, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match="another plan"):
            TrainingState(plan(cooldown=10)).load(self.saved(tmp_path, 4))

    def test_a_file_that_is_none_is_refused(self, tmp_path: Path) -> None:
        path = tmp_path / "model.safetensors"
        save_file({"weight": torch.zeros(3)}, path)
        with pytest.raises(ValueError, match=r"model\.safetensors is not the checkpoint"):
            TrainingState(plan()).load(path)

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("net.classifier.bias", None),
            ("net.classifier.bias", torch.zeros(4)),
            ("net.classifier.scale", torch.zeros(3)),
            ("adam.0.exp_avg", None),
            ("adam.0.exp_avg", torch.zeros(5)),
            ("adam.99.step", torch.tensor(2.0)),
        ],
    )
    def test_of_another_network_is_refused_before_anything_of_it_is_taken(
        self, name: str, value: Tensor | None, tmp_path: Path
    ) -> None:
        """An upgrade may have renamed or reshaped a layer."""
        path = self.saved(tmp_path, 2)
        tensors, metadata = parts(path)
        tensors.pop(name, None)
        if value is not None:
            tensors[name] = value
        save_file(tensors, path, metadata)
        state = TrainingState(plan())
        with pytest.raises(ValueError, match=rf"another network: {re.escape(name)} is .* there"):
            state.load(path)
        assert state.iteration == 0
        assert_equal(run(state), run(TrainingState(plan())))

    @pytest.mark.parametrize(
        ("changes", "named"),
        [
            ({"warmup": 3}, "warmup: Extra inputs are not permitted"),
            ({"defense": {"type": "vanilla", "omega": 1}}, "defense.omega: Extra inputs"),
            ({"defense": {"type": "distillation"}}, "defense.type: 'distillation' is unknown"),
            ({"attack": {"type": "fgsm", "momentum": 0.9}}, "attack.momentum: Extra inputs"),
            ({"iterations": "many"}, "iterations: Input should be a valid integer"),
        ],
    )
    def test_with_a_plan_of_another_version_is_refused_with_what_is_unknown(
        self, changes: dict[str, Any], named: str, tmp_path: Path
    ) -> None:
        path = self.saved(tmp_path, 2)
        self.rewrite(path, lambda saved: saved | changes)
        match = rf"the checkpoint's plan cannot be read: {re.escape(named)}"
        with pytest.raises(ValueError, match=match):
            TrainingState(plan()).load(path)

    @pytest.mark.parametrize("absent", ["cooldown", "attack", "adversarial_from", "crafting"])
    def test_a_field_that_an_older_plan_lacks_has_its_default(
        self, absent: str, tmp_path: Path
    ) -> None:
        path = self.saved(tmp_path, 7, defense="vanilla", adversarial_from=None)
        self.rewrite(path, lambda saved: {k: v for k, v in saved.items() if k != absent})
        state = TrainingState(plan("vanilla", adversarial_from=None))
        state.load(path)
        assert state.iteration == 7

    def rewrite(self, path: Path, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
        """Change the plan that a checkpoint says it is of."""
        tensors, metadata = parts(path)
        metadata["plan"] = json.dumps(change(json.loads(metadata["plan"])))
        save_file(tensors, path, metadata)

    def test_leaves_no_draft_behind(self, tmp_path: Path) -> None:
        self.saved(tmp_path, 1)
        assert [path.name for path in tmp_path.iterdir()] == ["checkpoint.safetensors"]

    def test_a_crash_in_the_middle_of_writing_leaves_the_old_one(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = self.saved(tmp_path, 2)
        old = path.read_bytes()

        def half(tensors: dict[str, Tensor], to: Path, metadata: dict[str, str]) -> None:
            to.write_bytes(old[: len(old) // 2])
            raise Killed

        with monkeypatch.context() as broken:
            broken.setattr(training, "save_file", half)
            state = TrainingState(plan())
            state.load(path)
            state.iteration = 3
            with pytest.raises(Killed):
                state.save(path)

        assert path.read_bytes() == old
        again = TrainingState(plan())
        again.load(path)
        assert again.iteration == 2
        again.save(path)
        again.load(path)


class TestProtocol:
    def test_passes_in_bfloat16_train_almost_the_same_weights_in_float32(self) -> None:
        exact, rounded = run(TrainingState(plan())), run(TrainingState(plan(precision="bfloat16")))
        assert all(one.dtype == rounded[name].dtype for name, one in exact.items())
        weights = "classifier.weight"
        assert not torch.equal(exact[weights], rounded[weights])
        torch.testing.assert_close(exact[weights], rounded[weights], rtol=0, atol=0.05)

    def test_the_optimiser_is_adam_as_published(self) -> None:
        """Kingma and Ba, ICLR 2015, Algorithm 1: no weight decay, no variant."""
        optimizer = TrainingState(plan()).optimizer
        assert type(optimizer) is torch.optim.Adam
        (group,) = optimizer.param_groups
        assert (group["betas"], group["eps"]) == ((0.9, 0.999), 1e-8)
        assert group["weight_decay"] == 0
        assert not group["amsgrad"]
        assert not group["maximize"]

    @pytest.mark.parametrize(
        ("iteration", "rate"),
        [(0, 1e-3), (99, 1e-3), (100, 9e-4), (199, 9e-4), (200, 8.1e-4), (9_999, 1e-3 * 0.9**99)],
    )
    def test_the_rate_falls_by_a_tenth_every_100_iterations(
        self, iteration: int, rate: float
    ) -> None:
        default = TrainingPlan(architecture="cnn4", n_classes=7)
        assert default.rate(iteration) == pytest.approx(rate)

    @pytest.mark.parametrize(
        ("iteration", "share"), [(199, 1.0), (200, 1.0), (220, 0.8), (260, 0.4), (299, 0.01)]
    )
    def test_a_cooldown_ends_at_zero(self, iteration: int, share: float) -> None:
        cooled = TrainingPlan(architecture="cnn4", n_classes=7, iterations=300, cooldown=100)
        assert cooled.rate(iteration) == pytest.approx(
            share * cooled.changed(cooldown=0).rate(iteration)
        )

    def test_the_optimiser_is_given_that_rate(self) -> None:
        state = TrainingState(plan(decay=0.5))
        given: list[tuple[float, float]] = []

        def note(step: Step) -> None:
            given.append((state.optimizer.param_groups[0]["lr"], step.learning_rate))

        run(state, on_step=note)
        assert given == [(0.01, 0.01)] * 5 + [(0.005, 0.005)] * 5 + [(0.0025, 0.0025)] * 2

    @pytest.mark.parametrize(
        ("defense", "iterations", "given", "first"),
        [
            ("vanilla", 10_000, None, 1_000),
            ("vanilla", 50_000, None, 1_000),
            ("similarity", 2_000, None, 200),
            ("similarity", 5, None, 0),
            ("vanilla", 2_000, 0, 0),
            ("vanilla", 2_000, 700, 700),
            ("single", 2_000, None, 2_000),
            ("single", 2_000, 700, 2_000),
        ],
    )
    def test_when_adversarial_data_enter(
        self, defense: str, iterations: int, given: int | None, first: int
    ) -> None:
        chosen = plan(defense, iterations=iterations, adversarial_from=given)
        assert chosen.first_adversarial == first

    def test_steps_are_counted_from_one_and_say_whether_they_were_adversarial(self) -> None:
        steps: list[Step] = []
        run(TrainingState(plan("vanilla")), on_step=steps.append)
        assert [step.iteration for step in steps] == list(range(1, 13))
        assert [step.adversarial for step in steps] == [False] * 4 + [True] * 8
        assert all(math.isfinite(step.loss) for step in steps)

    def test_a_loss_that_is_not_finite_ends_the_run_and_says_where(self) -> None:
        state = TrainingState(plan())

        def poison(step: Step) -> None:
            if step.iteration == 3:
                state.net.classifier.weight.data.fill_(float("inf"))

        with pytest.raises(FloatingPointError, match=r"nan in iteration 3: lower learning_rate"):
            run(state, on_step=poison)
        assert state.iteration == 3

    @pytest.mark.parametrize("name", ["classifier.weight", "blocks.1.running_var"])
    def test_weights_that_the_last_step_spoilt_are_no_success(self, name: str) -> None:
        """No loss is taken after it, and in train mode none looks at the running statistics."""
        state = TrainingState(plan())

        def poison(step: Step) -> None:
            if step.iteration == 12:
                state.net.state_dict()[name][0] = float("inf")

        with pytest.raises(FloatingPointError, match=rf"{name} holding NaN or infinity"):
            run(state, on_step=poison)

    def test_nor_are_they_saved_in_place_of_a_good_checkpoint(self, tmp_path: Path) -> None:
        path = tmp_path / "checkpoint.safetensors"
        state = TrainingState(plan())
        state.save(path)
        before = path.read_bytes()
        state.iteration = 3
        state.net.state_dict()["blocks.1.running_var"][0] = float("inf")
        with pytest.raises(Diverged, match=r"after iteration 3 blocks\.1\.running_var holds"):
            state.save(path)
        assert path.read_bytes() == before
        assert list(tmp_path.iterdir()) == [path]

    @pytest.mark.parametrize("labels", ["true", "predicted"])
    @pytest.mark.parametrize("defense", ["vanilla", "similarity"])
    def test_a_training_against_fgsm_is_the_papers_loop_to_the_bit(
        self, defense: str, labels: str
    ) -> None:
        chosen = plan(defense, attack={"type": "fgsm", "labels": labels, "clip": 0.1}, epsilon=0.1)
        ours = run(TrainingState(chosen))
        assert_equal(ours, written_out(chosen, labels))

    @pytest.mark.parametrize("defense", ["vanilla", "similarity"])
    def test_with_fused_crafting_it_is_the_same_loop_with_the_clips_of_a_network_in_train_mode(
        self, defense: str
    ) -> None:
        chosen = plan(defense, crafting="fused")
        ours, by_hand = run(TrainingState(chosen)), written_out(chosen, "true")
        for name, value in by_hand.items():
            torch.testing.assert_close(ours[name], value, rtol=1e-3, atol=1e-5)
        in_eval_mode = run(TrainingState(plan(defense)))
        assert not torch.allclose(ours["classifier.weight"], in_eval_mode["classifier.weight"])

    @pytest.mark.parametrize("labels", ["true", "predicted"])
    def test_an_attack_of_several_steps_trains_too(self, labels: str) -> None:
        steps: list[Step] = []
        attack = {"type": "pgd", "steps": 2, "restarts": 2, "norm": "l2", "labels": labels}
        chosen = plan("vanilla", attack=attack, epsilon=3.0)
        first = run(TrainingState(chosen), on_step=steps.append)
        assert all(math.isfinite(step.loss) for step in steps)
        assert_equal(first, run(TrainingState(chosen)))
        weaker = run(TrainingState(chosen.changed(epsilon=1.0)))
        assert not torch.equal(first["classifier.weight"], weaker["classifier.weight"])

    @pytest.mark.parametrize(
        "attack",
        [
            *({"type": name} for name in ATTACKS),
            {"type": "fgsm", "goal": "all_targets"},
            {"type": "noise", "kind": "uniform"},
            {"type": "square", "queries": 20},
            {"type": "nes", "queries": 60},
        ],
        ids=str,
    )
    def test_every_attack_that_a_plan_accepts_trains(self, attack: dict[str, Any]) -> None:
        try:
            chosen = plan("vanilla", attack=attack, iterations=2, adversarial_from=0)
        except ValueError:
            pytest.skip("no attack for a training")
        state = TrainingState(chosen)
        x, y = corpus().batch(torch.arange(6), FRAMES)
        change = adversary(state, 6).batch(x, y) - x
        assert 0 < float(change.abs().max()) <= 0.1 + 1e-5
        assert_equal(run(state), run(TrainingState(chosen)))

    def test_draws_differ_from_iteration_to_iteration_and_follow_from_the_seed(self) -> None:
        x, y = corpus().batch(torch.arange(6), FRAMES)

        def drawn(iteration: int, seed: int = 1) -> Tensor:
            state = TrainingState(plan("vanilla", attack={"type": "noise"}, seed=seed))
            state.iteration = iteration
            return adversary(state, 6).batch(x, y)

        assert torch.equal(drawn(7), drawn(7))
        assert not torch.equal(drawn(7), drawn(8))
        assert not torch.equal(drawn(7), drawn(7, seed=2))

    def test_crafting_leaves_mixed_flags_and_batch_norm_as_they_were(self) -> None:
        state = TrainingState(plan("vanilla", attack={"type": "fgsm", "labels": "predicted"}))
        net = state.net.train()
        net.get_submodule("blocks.1").eval()
        flags = [module.training for module in net.modules()]
        held = {name: value.clone() for name, value in net.state_dict().items()}
        adversary(state, 6).batch(*corpus().batch(torch.arange(6), FRAMES))
        assert [module.training for module in net.modules()] == flags
        assert_equal(dict(net.state_dict()), held)

    def test_the_attack_acts_on_z_scored_features(self) -> None:
        """An epsilon counts standard deviations of a band."""
        seen: list[Tensor] = []
        data = corpus()
        chosen = plan("vanilla", iterations=1, adversarial_from=0)
        standardizer = Standardizer(torch.full((MELS,), 3.0), torch.full((MELS,), 2.0))
        state = TrainingState(chosen)
        state.net.register_forward_pre_hook(lambda net, inputs: seen.append(inputs[0].detach()))
        train(state, data, standardizer, nobody)
        features, _ = data.batch(batch_indices(chosen, 0, 18), FRAMES)
        z = (features - 3) / 2
        _, clean, attacked = seen  # the gradient's forward, then those of the loss
        assert torch.equal(clean, z)
        assert float((attacked - z).abs().max()) == pytest.approx(0.1, abs=1e-6)


def written_out(chosen: TrainingPlan, labels: str) -> dict[str, Tensor]:
    """The protocol of the paper, Sec. 4.3, with Eq. 1 to 4 in place, and nothing of the training's
    code but the order of the clips and the first weights."""
    net, data = TrainingState(chosen).net, corpus()
    standardizer = data.standardizer()
    adam = torch.optim.Adam(net.parameters(), fused=True)
    for iteration in range(chosen.iterations):
        features, y = data.batch(batch_indices(chosen, iteration, 18), FRAMES)
        x = standardizer(features)
        defended = iteration >= 4
        if defended:
            attacked = copy.deepcopy(net).train(chosen.crafting == "fused")
            leaf = x.clone().requires_grad_(True)
            logits = attacked(leaf)
            target = y if labels == "true" else logits.argmax(dim=1)
            loss = nn.functional.cross_entropy(logits, target, reduction="sum")
            (gradient,) = torch.autograd.grad(loss, leaf)
            x_adv = x + (0.1 * gradient.sign()).clamp(-0.1, 0.1)
        net.train()
        logits, v = net.forward_features(x)
        loss = nn.functional.cross_entropy(logits, y)
        if defended:
            logits_adv, v_adv = net.forward_features(x_adv)
            loss_adv = nn.functional.cross_entropy(logits_adv, y)
            if chosen.defense.type == "vanilla":
                loss = 0.5 * loss + (1 - 0.5) * loss_adv
            else:
                apart = nn.functional.mse_loss(v_adv, v)
                loss = 0.4 * loss + 0.4 * loss_adv + (1 - 0.4 - 0.4) * apart
        for group in adam.param_groups:
            group["lr"] = 0.01 * 0.9 ** (iteration // 5)
        adam.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        adam.step()
    return dict(net.state_dict())


class TestBatches:
    def epoch(self, chosen: TrainingPlan, number: int, n_clips: int) -> list[int]:
        per_epoch = n_clips // chosen.batch_size
        iterations = range(number * per_epoch, (number + 1) * per_epoch)
        return [int(i) for at in iterations for i in batch_indices(chosen, at, n_clips)]

    @pytest.mark.parametrize("number", [0, 1, 7])
    def test_every_clip_is_seen_once_an_epoch(self, number: int) -> None:
        assert sorted(self.epoch(plan(), number, 18)) == list(range(18))

    def test_an_incomplete_last_batch_is_dropped(self) -> None:
        seen = self.epoch(plan(), 0, 23)
        assert len(seen) == len(set(seen)) == 18

    def test_what_one_epoch_drops_another_sees(self) -> None:
        assert {clip for number in range(20) for clip in self.epoch(plan(), number, 23)} == set(
            range(23)
        )

    def test_epochs_and_seeds_have_orders_of_their_own(self) -> None:
        orders = [
            self.epoch(plan(), 0, 18),
            self.epoch(plan(), 1, 18),
            self.epoch(plan(seed=2), 0, 18),
            self.epoch(plan(seed=2), 1, 18),
        ]
        assert all(first != second for first, second in combinations(orders, 2))

    def test_follow_from_the_iteration_alone(self) -> None:
        late = batch_indices(plan(), 1_000, 18)
        batch_indices(plan(), 3, 18)
        assert torch.equal(batch_indices(plan(), 1_000, 18), late)

    @pytest.mark.parametrize("n_clips", [1, 4, 5])
    def test_a_corpus_smaller_than_a_batch_is_repeated(self, n_clips: int) -> None:
        batch = batch_indices(plan(), 0, n_clips).tolist()
        assert len(batch) == 6
        assert set(batch) == set(range(n_clips))


class TestRareEmotions:
    """Of 18 clips 15 are of the first emotion, 2 of the second, 1 of the third."""

    @pytest.fixture
    def uneven(self) -> Dataset:
        data = corpus()
        return Dataset(data.features, data.offsets, torch.tensor([0] * 15 + [1, 1, 2]))

    def test_weigh_more_in_the_loss(self, uneven: Dataset) -> None:
        """The first step of a training, written out."""
        losses: list[float] = []
        wanted = plan(class_weights={"joy": 4}, iterations=1)
        scale = uneven.standardizer()
        train(
            TrainingState(wanted),
            uneven,
            scale,
            lambda step: losses.append(step.loss),
            emotions=("anger", "joy", "sadness"),
        )
        features, y = uneven.batch(batch_indices(wanted, 0, 18), FRAMES)
        assert bool((y == 1).any())
        net = TrainingState(wanted).net.train()
        each = nn.functional.cross_entropy(net(scale(features)), y, reduction="none")
        weight = torch.where(y == 1, 4.0, 1.0) * 18 / (15 + 2 * 4 + 1)
        assert losses[0] == pytest.approx((weight * each).mean().item(), rel=1e-5)

    def test_weigh_balanced_batches_by_1_on_average(
        self, uneven: Dataset, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        used: list[Tensor | None] = []
        weighing = Single.weighing

        def noted(self: Single, weights: Tensor | None) -> Any:
            used.append(weights)
            return weighing(self, weights)

        monkeypatch.setattr(Single, "weighing", noted)
        wanted = plan(class_weights="balanced", sampling="balanced", iterations=1)
        run(TrainingState(wanted), uneven)
        assert used[0] is not None
        assert float(used[0].mean()) == pytest.approx(1)

    def test_of_an_unknown_name_begin_no_training(self, uneven: Dataset) -> None:
        state = TrainingState(plan(class_weights={"joy": 4}))
        with pytest.raises(ValueError, match="'joy', which is none of"):
            train(state, uneven, uneven.standardizer(), nobody)
        assert state.iteration == 0

    def test_come_as_often_as_any_other_from_balanced_batches(
        self, uneven: Dataset, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        drawn: list[Tensor] = []
        batch = Dataset.batch

        def noted(data: Dataset, clips: Tensor, *rest: int) -> tuple[Tensor, Tensor]:
            drawn.append(data.labels[clips])
            return batch(data, clips, *rest)

        monkeypatch.setattr(Dataset, "batch", noted)
        run(TrainingState(plan(sampling="balanced")), uneven)
        assert torch.bincount(torch.cat(drawn)).tolist() == [24, 24, 24]


class TestDataset:
    def test_a_batch_is_its_clips_tiled(self, device: torch.device) -> None:
        data = corpus().to(device)
        chosen = torch.tensor([4, 0, 4, 17])
        features, y = data.batch(chosen, 40)
        assert features.shape == (4, 40, MELS)
        assert y.tolist() == [4 % 3, 0, 4 % 3, 17 % 3]
        for row, clip in zip(features, chosen.tolist(), strict=True):
            assert torch.equal(row, tile(data.clip(clip), 40))

    def test_half_precision_features_become_float32(self) -> None:
        data = corpus()
        half = Dataset(data.features.half(), data.offsets, data.labels)
        assert half.batch(torch.tensor([0]), 40)[0].dtype == torch.float32

    def test_a_subset_holds_the_chosen_clips_in_their_order(self, device: torch.device) -> None:
        data = corpus().to(device)
        part = data.subset(torch.tensor([7, 2]))
        assert len(part) == 2
        assert part.offsets.device == part.features.device == data.features.device
        assert torch.equal(part.clip(0), data.clip(7))
        assert torch.equal(part.clip(1), data.clip(2))
        assert part.labels.tolist() == [7 % 3, 2]

    def test_its_standardizer_leaves_mean_zero_and_deviation_one(self) -> None:
        data = corpus()
        z = data.standardizer()(data.features)
        torch.testing.assert_close(z.mean(dim=0), torch.zeros(MELS), rtol=0, atol=1e-5)
        torch.testing.assert_close(z.std(dim=0), torch.ones(MELS))
