"""Figures equal those of statsmodels, scikit-learn and audmetric on the same clips."""

import numpy as np
import pytest

from models.audit.intervals import mcnemar, wilson
from models.audit.measures import MEASURES
from models.audit.table import Columns, Table
from tests.models.audit.rows import LABELS, row

RANDOM = np.random.default_rng(7)
TRUTH = RANDOM.integers(0, 3, 200)
GUESSES = np.where(RANDOM.random(200) < 0.6, TRUTH, RANDOM.integers(0, 3, 200))


def clean() -> Table:
    columns = Columns(LABELS, [], [])
    for truth, guess in zip(TRUTH, GUESSES, strict=True):
        columns.add(row(LABELS[truth], LABELS[guess]))
    return columns.clean()


@pytest.mark.parametrize(("counted", "n"), [(0, 9), (1, 9), (7, 24), (48, 48), (801, 1500)])
def test_wilsons_interval_is_that_of_statsmodels(counted: int, n: int) -> None:
    from statsmodels.stats.proportion import proportion_confint

    assert wilson(counted, n) == pytest.approx(proportion_confint(counted, n, method="wilson"))


@pytest.mark.parametrize(("first", "second"), [(0, 0), (3, 0), (12, 12), (4, 19), (140, 90)])
def test_mcnemars_p_is_that_of_statsmodels(first: int, second: int) -> None:
    from statsmodels.stats.contingency_tables import mcnemar as of_statsmodels

    if first + second == 0:  # statsmodels answers NaN where nothing differs
        assert mcnemar(first, second) == 1.0
        return
    found = of_statsmodels([[50, first], [second, 80]], exact=True)
    assert mcnemar(first, second) == pytest.approx(found.pvalue)


def test_the_uar_is_the_balanced_accuracy_of_scikit_learn_and_that_of_audmetric() -> None:
    import audmetric
    from sklearn.metrics import balanced_accuracy_score

    found = MEASURES["uar"]().figure(clean()).value
    assert found == pytest.approx(balanced_accuracy_score(TRUTH, GUESSES))
    assert found == pytest.approx(audmetric.unweighted_average_recall(TRUTH, GUESSES))


def test_the_uar_of_one_class_is_its_recall_in_scikit_learn_and_audmetric() -> None:
    import audmetric
    from sklearn.metrics import recall_score

    own = clean()
    recalls = recall_score(TRUTH, GUESSES, average=None)
    of_audmetric = audmetric.recall_per_class(TRUTH, GUESSES)
    for number in range(3):
        found = MEASURES["uar"]().figure(own.where(own.truth == number)).value
        assert found == pytest.approx(recalls[number])
        assert found == pytest.approx(of_audmetric[number])


def test_the_area_under_the_curve_is_that_of_scikit_learn_with_ties() -> None:
    from sklearn.metrics import roc_auc_score

    from models.audit.roc import _exact

    before, after = RANDOM.integers(0, 20, 150) / 20, RANDOM.integers(0, 16, 150) / 20
    scores = -np.concatenate([before, after])
    attacked = np.repeat([0, 1], 150)
    assert _exact(before, after) == pytest.approx(roc_auc_score(attacked, scores))


def test_the_brier_score_is_that_of_scikit_learn() -> None:
    from sklearn.metrics import brier_score_loss

    scores = np.eye(3)[GUESSES]
    found = brier_score_loss(TRUTH, scores, scale_by_half=False, labels=[0, 1, 2])
    assert MEASURES["brier"]().figure(clean()).value == pytest.approx(found)
