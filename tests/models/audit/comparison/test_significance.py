"""Tests of significance, held to statsmodels."""

import math

import numpy as np
import pytest
from scipy.stats import ttest_1samp
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportions_ztest

from models.audit.comparison.significance import McNemar, holm, t_test, z_test


@pytest.mark.parametrize(("only_a", "only_b"), [(0, 0), (6, 3), (3, 6), (0, 8), (40, 71)])
def test_mcnemar_is_that_of_statsmodels(only_a: int, only_b: int) -> None:
    table = [[10, only_a], [only_b, 20]]
    assert McNemar.of(only_a, only_b).p == pytest.approx(mcnemar(table, exact=True).pvalue)


@pytest.mark.parametrize(("a", "b", "n"), [(0.8, 0.9, 50), (0.9, 0.8, 50), (0.1, 0.1, 12)])
def test_the_z_test_is_the_one_tailed_one_of_statsmodels(a: float, b: float, n: int) -> None:
    side = "larger" if b >= a else "smaller"
    z, p = proportions_ztest([b * n, a * n], [n, n], alternative=side)
    found = z_test(a, b, n)
    assert found is not None
    assert found.z == pytest.approx(z)
    assert found.p == pytest.approx(p)


def test_the_papers_gain_of_the_test_partition_is_as_significant_as_it_says() -> None:
    # Sec. 4: .867 against .836 of 3,317 clips, p < .001
    found = z_test(0.836, 0.867, 3317)
    assert found is not None
    assert found.p < 0.001


@pytest.mark.parametrize(("a", "b", "n"), [(0.0, 0.0, 9), (1.0, 1.0, 9), (0.5, 0.5, 0)])
def test_there_is_no_z_without_a_spread(a: float, b: float, n: int) -> None:
    assert z_test(a, b, n) is None


def test_p_of_a_mean_is_students() -> None:
    values = np.array([0.1, 0.3, -0.1, 0.25, 0.2])
    error = float(values.std(ddof=1)) / math.sqrt(len(values))
    wanted = ttest_1samp(values, 0.0).pvalue
    assert t_test(float(values.mean()), error, len(values)) == pytest.approx(wanted)


@pytest.mark.parametrize("n", [0, 1, 2, 30])
def test_holm_is_that_of_statsmodels(n: int) -> None:
    p = np.random.default_rng(n).random(n) ** 3
    wanted = multipletests(p, method="holm")[1] if n else []
    assert holm(p.tolist()) == pytest.approx(list(wanted))


def test_holm_of_equal_p_is_the_same_for_both() -> None:
    assert holm([0.02, 0.02, 0.5]) == pytest.approx([0.06, 0.06, 0.5])
