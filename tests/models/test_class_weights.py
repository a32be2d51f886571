"""What emotions weigh in a loss: as in scikit-learn, and 1 on average."""

import numpy as np
import pytest
import torch
from pydantic import TypeAdapter, ValidationError
from sklearn.utils.class_weight import compute_class_weight

from models.class_weights import ClassWeights, class_weights

LABELS = torch.tensor([0] * 6 + [1] * 3 + [2])
EMOTIONS = ("anger", "joy", "sadness")
parse = TypeAdapter[ClassWeights](ClassWeights).validate_python


class TestClassWeights:
    def test_balanced_are_those_of_scikit_learn(self) -> None:
        expected = compute_class_weight("balanced", classes=np.arange(3), y=LABELS.numpy())
        found = class_weights("balanced", LABELS, EMOTIONS)
        assert found is not None
        assert found.tolist() == pytest.approx(expected.tolist())

    def test_of_none_there_are_none(self) -> None:
        assert class_weights(None, LABELS, EMOTIONS) is None

    def test_given_ones_count_by_their_ratio_and_are_1_for_the_others(self) -> None:
        """6 clips of weight 2, 3 of 1, 1 of 5: 20 over 10 clips."""
        found = class_weights({"anger": 2, "sadness": 5}, LABELS, EMOTIONS)
        assert found is not None
        assert found.tolist() == pytest.approx([1.0, 0.5, 2.5])
        again = class_weights({"anger": 20, "joy": 10, "sadness": 50}, LABELS, EMOTIONS)
        assert again is not None
        assert again.tolist() == pytest.approx(found.tolist())

    @pytest.mark.parametrize("wanted", ["balanced", {"joy": 3.0}])
    def test_are_1_on_average_over_the_clips(self, wanted: ClassWeights) -> None:
        found = class_weights(wanted, LABELS, EMOTIONS)
        assert found is not None
        assert float(found[LABELS].mean()) == pytest.approx(1)

    def test_beside_balanced_batches_they_are_1_on_average_over_those(self) -> None:
        """In which each emotion is a third: with clips in their own shares the mean is 1.67."""
        found = class_weights("balanced", LABELS, EMOTIONS, equally_often=True)
        assert found is not None
        assert float(found.mean()) == pytest.approx(1)
        assert found.tolist() == pytest.approx([1 / 3, 2 / 3, 2])

    def test_an_emotion_without_a_clip_is_in_no_balanced_batch_either(self) -> None:
        emotions = (*EMOTIONS, "fear")
        found = class_weights({"anger": 4}, LABELS, emotions, equally_often=True)
        assert found is not None
        assert found[:3].tolist() == pytest.approx([2, 0.5, 0.5])

    def test_of_an_unknown_emotion_are_refused_by_name(self) -> None:
        with pytest.raises(ValueError, match="'boredom'"):
            class_weights({"boredom": 2}, LABELS, EMOTIONS)

    def test_an_emotion_without_a_clip_cannot_be_balanced(self) -> None:
        with pytest.raises(ValueError, match="without a clip"):
            class_weights("balanced", LABELS, (*EMOTIONS, "fear"))


class TestInARequest:
    @pytest.mark.parametrize("value", ["balanced", {"anger": 2.0}])
    def test_are_a_name_or_numbers(self, value: object) -> None:
        assert parse(value) == value

    @pytest.mark.parametrize(
        ("value", "where"),
        [
            ("inverse", ()),
            (["balanced"], ()),
            ({}, ()),
            ({"anger": 0}, ("anger",)),
            ({"anger": 1e9}, ("anger",)),
            ({"anger": float("nan")}, ("anger",)),
            ({"anger": "2"}, ("anger",)),
            ({str(number): 1.0 for number in range(1_001)}, ()),
        ],
        ids=lambda value: str(value)[:20],
    )
    def test_anything_else_is_refused_once_at_its_place(
        self, value: object, where: tuple[str, ...]
    ) -> None:
        with pytest.raises(ValidationError) as caught:
            parse(value)
        assert [fault["loc"] for fault in caught.value.errors()] == [where]
