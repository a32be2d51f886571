"""The sentence on what was found starts from the clips that the attack came to."""

from collections.abc import Collection, Mapping
from dataclasses import replace

import pytest

from models.attacks import Attack
from models.audit.finding import finding
from models.audit.result import AuditSummary
from models.audit.summary import Summary
from tests.models.audit.checks.planted import LABELS, NOISE, PGD, SOUND, Audit

# The model knows the first hundred clips, and none of the others.
HALF_KNOWN = replace(
    SOUND,
    attacks=(PGD, NOISE),
    clean=lambda number, truth: truth if number < 100 else (truth + 1) % 3,
)


def ended(audit: Audit, reached: Mapping[Attack, Collection[int]]) -> AuditSummary:
    """The audit if it ended when each attack had come to these clips."""
    summary = Summary(LABELS, audit.attacks)
    for number in range(len(audit.truth)):
        row = audit.row(number)
        there = [one for one in row.attacked if number in reached[audit.attacks[one.attack]]]
        summary.add(row.model_copy(update={"attacked": there}))
    return summary.result(of=len(audit.truth), scale=audit.scale, seconds={})


class TestACompleteAudit:
    def test_it_starts_from_the_clean_uar_and_counts_no_clips(self) -> None:
        found = finding(SOUND.observed().summary)
        assert "UAR falls from 1.00 to .60" in found
        assert "which leaves UAR at .90" in found
        assert "300 clips falls" not in found
        assert found.endswith("chance is .33.")


class TestAnAuditThatEndedEarly:
    def test_what_was_lost_is_of_the_clips_that_the_attack_came_to(self) -> None:
        found = finding(ended(HALF_KNOWN, {PGD: range(100), NOISE: range(100)}))
        assert "UAR of 100 of 300 clips falls from 1.00 to .5" in found
        assert "which leaves UAR at .8" in found

    def test_it_is_so_where_nothing_was_lost(self) -> None:
        audit = replace(HALF_KNOWN, broken=dict.fromkeys(SOUND.broken, ()))
        reached = range(100)
        weak = (PGD.model_copy(update={"epsilon": (0.1,)}), NOISE)
        found = finding(ended(replace(audit, attacks=weak), {weak[0]: reached, NOISE: reached}))
        assert "lower UAR of 100 of 300 clips by no more than chance does, from 1.00 to" in found

    @pytest.mark.parametrize("heard", [range(300), range(50), range(30, 130)])
    def test_noise_on_other_clips_leaves_no_uar_beside_it(self, heard: range) -> None:
        found = finding(ended(HALF_KNOWN, {PGD: range(100), NOISE: heard}))
        assert "leaves UAR" not in found
        both = len(set(heard) & set(range(100)))
        assert f"on the {both} of them that noise of that size was scored on, that is ." in found

    def test_noise_that_was_not_come_to_is_said_to(self) -> None:
        found = finding(ended(HALF_KNOWN, {PGD: range(100), NOISE: ()}))
        assert "noise of that size was scored on none of them" in found

    def test_chance_is_that_of_the_emotions_that_were_come_to(self) -> None:
        audit = replace(HALF_KNOWN, truth=(0, 1) * 50 + (2,) * 200)
        found = finding(ended(audit, {PGD: range(100), NOISE: range(100)}))
        assert found.endswith("chance is .50.")

    def test_without_an_attack_noise_starts_from_its_own_clips(self) -> None:
        audit = replace(HALF_KNOWN, attacks=(NOISE,))
        found = finding(ended(audit, {NOISE: range(100)}))
        assert "UAR of 100 of 300 clips goes from 1.00 to ." in found
