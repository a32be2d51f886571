"""Checks: each finds the flaw that is planted for it, and nothing else does."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace

import numpy as np
import pytest

from models.attacks import parse
from models.audit.checks import CHECKS, Check, CheckResult, Judgement, Observed, judge
from models.audit.checks.outcome import Clear, NotRun, Outcome, Raised
from models.audit.clips import ClipFacts
from models.provenance import Provenance, speaker_hash
from tests.models.audit.checks.planted import (
    ATTACKS,
    FGSM,
    FLAWS,
    LABELS,
    NOISE,
    PGD,
    QUIET,
    SOUND,
    Audit,
    without,
)

_OBSERVED: dict[int, tuple[Audit, Observed]] = {}


def observed(audit: Audit) -> Observed:
    """Added up once for each audit: figures with their draws take most of the time."""
    known = _OBSERVED.get(id(audit))
    if known is None or known[0] is not audit:
        known = _OBSERVED[id(audit)] = (audit, audit.observed())
    return known[1]


def judged(audit: Audit) -> Judgement:
    return judge(observed(audit))


def raised(audit: Audit) -> dict[str, CheckResult]:
    return {one.id: one for one in judged(audit).checks if one.status == "raised"}


def result(audit: Audit, name: str) -> CheckResult:
    (found,) = (one for one in judged(audit).checks if one.id == name)
    return found


class TestASoundAudit:
    def test_nothing_is_said_against_it_and_every_check_was_run(self) -> None:
        found = judged(SOUND)
        assert {one.id: one.status for one in found.checks} == dict.fromkeys(CHECKS, "clear")
        assert found.evidence == "sound"

    def test_what_was_measured_stands_beside_each(self) -> None:
        for one in judged(SOUND).checks:
            assert one.measured
            assert one.measured.endswith(".")
            assert (one.reason, one.remedy) == (None, None)


class TestAPlantedFlaw:
    def test_every_check_has_one(self) -> None:
        assert FLAWS.keys() == CHECKS.keys()

    @pytest.mark.parametrize("name", list(CHECKS))
    def test_raises_exactly_its_check_and_decides_the_evidence(self, name: str) -> None:
        found = judged(FLAWS[name])
        assert [one.id for one in found.checks if one.status == "raised"] == [name]
        severity = CHECKS[name].severity
        assert found.evidence == ("sound" if severity == "note" else severity)

    @pytest.mark.parametrize("name", list(CHECKS))
    def test_the_remedy_says_what_to_do(self, name: str) -> None:
        (found,) = raised(FLAWS[name]).values()
        assert found.measured
        assert found.remedy is not None
        assert found.remedy.text.endswith(".")

    @pytest.mark.parametrize("name", list(CHECKS))
    def test_every_registered_check_stands_in_the_result(self, name: str) -> None:
        assert {one.id for one in judged(FLAWS[name]).checks} == set(CHECKS)


class TestACheckThatFails:
    @pytest.mark.parametrize("name", list(CHECKS))
    def test_was_not_run_and_the_evidence_is_weak_at_best(
        self, name: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(self: Check, audit: Observed) -> Outcome:
            raise ZeroDivisionError("planted")

        monkeypatch.setattr(CHECKS[name], "look", fail)
        found = judged(SOUND)
        (failed,) = (one for one in found.checks if one.status == "not_run")
        assert failed.id == name
        assert failed.reason == "The check failed: ZeroDivisionError: planted"
        assert failed.measured is None
        assert [one.id for one in found.checks if one.failed] == [name]
        assert found.evidence == "weak"

    def test_does_not_make_invalid_evidence_better(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(self: Check, audit: Observed) -> Outcome:
            raise RuntimeError

        monkeypatch.setattr(CHECKS["scale"], "look", fail)
        assert judged(FLAWS["budget"]).evidence == "invalid"

    def test_so_is_one_whose_measurement_is_missing(self) -> None:
        found = judged(replace(SOUND, probe=None))
        not_run = {one.id for one in found.checks if one.status == "not_run"}
        assert not_run == {"digital_silence", "gradients", "saturated", "two_runs"}
        assert found.evidence == "weak"


BALANCES = {
    "even": (1, 1, 1),
    "one rare": (10, 10, 1),
    "one common": (12, 1, 1),
    "two emotions": (1, 1, 0),
}


def drawn(balance: tuple[int, ...], n: int = 150) -> tuple[int, ...]:
    each = np.random.default_rng(1).choice(3, n, p=np.array(balance) / sum(balance))
    return tuple(int(one) for one in each)


def saying(labels: Sequence[int]) -> Callable[[int, int], int]:
    """A model that gives these, clip by clip."""
    return lambda number, _: labels[number]


@pytest.mark.parametrize("balance", BALANCES.values(), ids=BALANCES)
class TestModelsThatKnowNothing:
    def test_one_that_guesses_is_no_evidence_on_any_corpus(self, balance: tuple[int, ...]) -> None:
        for seed in range(6):
            guesses = np.random.default_rng(100 + seed).integers(0, 3, 150)
            audit = replace(
                SOUND,
                attacks=(NOISE,),
                truth=drawn(balance),
                clean=saying(guesses.tolist()),
            )
            assert judged(audit).evidence == "invalid", seed

    def test_nor_is_one_that_always_says_the_same(self, balance: tuple[int, ...]) -> None:
        for label in range(3):
            audit = replace(
                SOUND, attacks=(NOISE,), truth=drawn(balance), clean=saying([label] * 150)
            )
            assert judged(audit).evidence == "invalid", label


class TestAModelThatKnows:
    def test_most_clips_of_one_emotion_are_no_one_class_model(self) -> None:
        audit = replace(SOUND, truth=drawn((30, 1, 1)))
        assert "one_class" not in raised(audit)
        assert "at_chance" not in raised(audit)


class TestTrainingSpeakers:
    def test_they_are_known_by_a_hash_of_their_names_in_the_same_corpus(self) -> None:
        found = raised(FLAWS["training_speakers"])["training_speakers"]
        assert found.measured == "27 of 300 clips are of speakers of the training."

    def test_a_name_is_nobody_in_another_corpus(self) -> None:
        training = Provenance(corpus="corpus_B", speakers_sha256=[speaker_hash("speaker 3")])
        found = result(replace(SOUND, training=training), "training_speakers")
        assert found.status == "not_run"
        assert found.reason is not None
        assert "whether they are the same is not known" in found.reason

    def test_a_model_that_names_none_is_said_to(self) -> None:
        found = result(replace(SOUND, training=Provenance()), "training_speakers")
        assert found.reason == "The model's configuration names no speakers of its training."

    def test_without_names_the_partition_that_it_learnt_gives_it_away(self) -> None:
        audit = replace(SOUND, training=Provenance(corpus="corpus_A"), request={"partition": "all"})
        found = raised(audit)["training_speakers"]
        assert found.remedy is not None
        assert found.remedy.request == {"partition": "test", "fold": None}

    def test_clips_without_a_speaker_are_not_of_the_training_nor_others(self) -> None:
        for training in (SOUND.training, Provenance(corpus="corpus_B", speakers_sha256=["0" * 16])):
            found = speakers(nameless(range(300)), training)
            assert isinstance(found, NotRun)
            assert found.reason == "Speakers of 300 clips are not known."

    def test_a_few_of_them_are_left_out(self) -> None:
        for training in (SOUND.training, Provenance(corpus="corpus_B", speakers_sha256=["0" * 16])):
            told = "0 of 285 clips whose speakers are known are of speakers of the training."
            assert speakers(nameless(range(15)), training) == Clear(told)
            assert isinstance(speakers(nameless(range(16)), training), NotRun)

    def test_those_that_are_known_raise_it_if_they_are_enough_of_all(self) -> None:
        training = FLAWS["training_speakers"].training
        found = speakers(nameless(range(150, 300)), training)
        assert isinstance(found, NotRun)  # 12 of 150, and of 300 perhaps no more
        found = speakers(nameless(range(200, 300)), training)
        assert isinstance(found, Raised)
        assert found.measured.startswith("18 of 200 clips whose speakers are known")

    def test_of_public_speakers_alone_a_clip_that_is_not_named_so_says_nothing(self) -> None:
        training = Provenance(corpus="corpus_B", public_speakers={"cremad": ["1001"]})
        found = speakers(observed(SOUND).clips, training)
        assert isinstance(found, NotRun)
        assert found.reason.startswith("No clip is named as in a public corpus")

    @pytest.mark.parametrize(
        ("others", "told"),
        [
            (0, "20 of 40 clips are of speakers of the training."),
            (2, "20 of 40 clips whose speakers are known are of speakers of the training."),
        ],
    )
    def test_public_speakers_are_known_by_the_names_of_files(self, others: int, told: str) -> None:
        training = Provenance(corpus="corpus_B", public_speakers={"cremad": ["1001"]})
        names = [f"{1001 + number % 2}_DFA_ANG_XX.wav" for number in range(40)]
        names += ["mine.wav"] * others
        clips = [ClipFacts(name, "anger", None, None, 2.0) for name in names]
        found = speakers(clips, training)
        assert isinstance(found, Raised)
        assert found.measured == told


def speakers(clips: Sequence[ClipFacts], training: Provenance) -> Outcome:
    """What is found of the training's speakers in these clips."""
    audit = replace(observed(SOUND), clips=clips, training=training)
    return CHECKS["training_speakers"]().look(audit)


def nameless(numbers: Collection[int]) -> list[ClipFacts]:
    """The sound audit's clips, these without a speaker."""
    return [
        replace(clip, speaker=None) if number in numbers else clip
        for number, clip in enumerate(observed(SOUND).clips)
    ]


class TestUnbounded:
    def test_a_single_step_is_not_held_to_it(self) -> None:
        found = result(replace(SOUND, attacks=(FGSM, NOISE), stands=[7]), "unbounded")
        assert found.status == "not_run"
        assert found.reason == "No iterative attack was as strong as 10 sigma."
        assert found.remedy is not None
        assert found.remedy.request is not None
        pgd = found.remedy.request["attacks"][-1]
        assert (pgd["type"], pgd["epsilon"]) == ("pgd", [10.0])

    def test_nor_helps_it_an_iterative_attack(self) -> None:
        weak = PGD.model_copy(update={"epsilon": (0.1,)})
        found = result(replace(SOUND, attacks=(FGSM, weak, NOISE)), "unbounded")
        assert found.reason == "No iterative attack was as strong as 10 sigma."

    def test_digital_silence_that_no_snr_lets_change_is_left_out(self) -> None:
        loud = parse({"type": "pgd", "domain": "waveform", "norm": "l2", "snr_db": [0], "steps": 5})
        found = result(replace(SOUND, attacks=(loud,), silent=[7]), "unbounded")
        assert (found.status, found.measured) == ("clear", "Broken: 299 of 299 clips at 0 dB.")
        found = result(replace(SOUND, attacks=(loud,), stands=[7], lost=[7]), "unbounded")
        assert (found.status, found.measured) == ("raised", "Broken: 299 of 300 clips at 0 dB.")
        found = result(replace(SOUND, attacks=(loud,), silent=range(300)), "unbounded")
        assert found.reason == "No clip that was right before was scored at such a strength."


class TestClipsOfOneEmotion:
    @pytest.mark.parametrize("says", [0, 1])
    def test_chance_is_not_told_from_knowledge(self, says: int) -> None:
        audit = replace(
            SOUND, attacks=(PGD, NOISE), truth=(0,) * 300, clean=lambda number, truth: says
        )
        found = result(audit, "at_chance")
        assert found.status == "not_run"
        assert (
            found.reason == "The clips are all of anger, which a model that guesses may always say."
        )
        assert judged(audit).evidence == "weak"


class TestVerdicts:
    @pytest.mark.parametrize("name", ["fgsm_alone", "no_control"])
    def test_fgsm_alone_and_no_control_are_weak(self, name: str) -> None:
        assert judged(FLAWS[name]).evidence == "weak"

    def test_attacks_that_had_nothing_to_go_by_are_counted(self) -> None:
        found = raised(replace(SOUND, lost=[5]))
        assert set(found) == {"gradients"}
        assert found["gradients"].measured is not None
        assert found["gradients"].measured.startswith("On 1 of 300 clips fgsm had nothing to go by")

    def test_noise_at_some_strengths_is_not_noise_at_all(self) -> None:
        noise = ATTACKS[-1].model_copy(update={"epsilon": (0.1,)})
        found = raised(replace(SOUND, attacks=(*without("noise"), noise)))
        assert set(found) == {"no_control"}
        remedy = found["no_control"].remedy
        assert remedy is not None
        assert remedy.request is not None
        assert remedy.request["attacks"][-1]["epsilon"] == [0.1, 10.0]

    def test_probabilities_for_logits_are_named(self) -> None:
        audit = replace(SOUND, probe=replace(QUIET, like_probabilities=8))
        assert set(raised(audit)) == {"saturated"}

    def test_a_check_that_could_be_run_says_how(self) -> None:
        audit = replace(SOUND, attacks=(ATTACKS[1], ATTACKS[-1]))
        found = result(audit, "steps_gain")
        assert found.status == "not_run"
        assert found.remedy is not None
        assert found.remedy.request is not None
        steps = [one.get("steps") for one in found.remedy.request["attacks"]]
        assert steps == [10, None, 20]
        assert judged(audit).evidence == "sound"


class TestEveryCheck:
    @pytest.mark.parametrize("name", list(CHECKS))
    def test_it_has_its_own_id_and_says_all_of_itself(self, name: str) -> None:
        check = CHECKS[name]
        assert check.id == name
        assert check.version >= 1
        assert not check.title.endswith(".")
        assert check.reads
        assert check.raised_if
        assert check.remedy.endswith(".")
        assert check.source.endswith(".")

    def test_at_least_twelve_have_a_remedy_that_can_be_run(self) -> None:
        runnable = {
            one.id
            for audit in (*FLAWS.values(), RUNNABLE)
            for one in judged(audit).checks
            if one.remedy is not None and one.remedy.request is not None
        }
        assert len(runnable) >= 12, sorted(runnable)


RUNNABLE = replace(FLAWS["few_right_before"], request={"limit": 45})


class TestWithoutLabels:
    def test_what_asks_for_a_label_was_not_run(self) -> None:
        assert LABELS  # the names are there; the clips' are not
        audit = SOUND.observed()
        clean = replace(audit.clean, labelled=np.zeros(len(audit.clean), dtype=np.bool_))
        audit.__dict__["clean"] = clean
        found = {one.id: one for one in judge(audit).checks}
        assert found["few_clips_of_a_class"].status == "not_run"
        assert found["predicted_labels"].status == "raised"
