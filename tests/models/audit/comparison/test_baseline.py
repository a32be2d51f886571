"""Differences by names, as gates ask for them."""

from models.attacks.fgsm import Fgsm
from models.attacks.pgd import Pgd
from models.audit.comparison import against_baseline
from tests.models.audit.comparison.audits import clip, outcomes
from tests.models.audit.rows import row, under


def test_each_figure_of_each_case_has_a_name() -> None:
    before = [clip(n, "a", "a", "b", "a", speaker=f"s{n % 6}") for n in range(12)]
    after = [clip(n, "a", "a", "ab"[n % 2], "a", speaker=f"s{n % 6}") for n in range(12)]
    found = against_baseline(outcomes("old", before), outcomes("new", after))
    assert list(found) == [
        "delta_clean_uar",
        "delta_worst_uar@0.1", "delta_worst_success_rate@0.1",
        "delta_fgsm_uar@0.1", "delta_fgsm_success_rate@0.1", "delta_fgsm_flip_rate@0.1",
        "delta_noise_uar@0.1", "delta_noise_success_rate@0.1", "delta_noise_flip_rate@0.1",
    ]  # fmt: skip
    assert found["delta_worst_uar@0.1"].value == 0.5
    assert found["delta_worst_success_rate@0.1"].value == -0.5
    assert (found["delta_clean_uar"].a, found["delta_clean_uar"].b) == ("old", "new")


def test_names_that_would_be_the_same_are_told_apart() -> None:
    attacks = (
        Fgsm(epsilon=(0.1,)),
        Fgsm(epsilon=(0.1,), domain="waveform"),
        Pgd(epsilon=(0.1,), steps=2),
        Pgd(epsilon=(0.1,), steps=3),
    )
    rows = [row("a", "a", [under(n, 0.1, "b") for n in range(4)], index=n) for n in range(8)]
    found = against_baseline(outcomes("old", rows, attacks), outcomes("new", rows, attacks))
    assert [name for name in found if "uar" in name] == [
        "delta_clean_uar",
        "delta_worst_uar@0.1/features-linf",
        "delta_worst_uar@0.1/waveform-linf",
        "delta_fgsm_uar@0.1/features-linf",
        "delta_fgsm_uar@0.1/waveform-linf",
        "delta_pgd_uar@0.1/features-linf/1",
        "delta_pgd_uar@0.1/features-linf/2",
    ]
