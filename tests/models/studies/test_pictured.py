"""Which audits draw a study's Figure 2."""

from models.studies.pictured import Pictured, pictured
from tests.models.studies.made import cell, study


def test_are_of_the_undefended_model_with_the_lowest_seed_on_test() -> None:
    found = pictured(study(cell("vanilla", 0.02), cell(seed=3), cell(seed=1)))
    assert found == [Pictured(architecture="cnn4", seed=1, partition="test", audit="audit_1")]


def test_are_of_dev_where_nothing_was_audited_on_test() -> None:
    (found,) = pictured(study(cell(partitions=("dev",))))
    assert found.partition == "dev"


def test_are_none_where_nothing_was_audited() -> None:
    assert pictured(study(cell(audits={}), cell("vanilla", 0.02))) == []
