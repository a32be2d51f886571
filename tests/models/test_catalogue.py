"""Names that register themselves, and the names that a request may give."""

from collections.abc import Callable
from typing import Annotated

import pytest
from pydantic import BaseModel, TypeAdapter, ValidationError

from models.catalogue import Catalogue, NameIn

Maker = Callable[[], int]


@pytest.fixture
def numbers() -> Catalogue[Maker]:
    catalogue: Catalogue[Maker] = Catalogue("number")

    @catalogue.register("two")
    def two() -> int:
        return 2

    @catalogue.register("one")
    def one() -> int:
        return 1

    return catalogue


class TestCatalogue:
    def test_knows_what_registered_itself_by_name_and_leaves_it_as_it_is(
        self, numbers: Catalogue[Maker]
    ) -> None:
        assert list(numbers) == ["two", "one"]
        assert numbers["one"]() == 1

    def test_two_of_one_name_are_refused(self, numbers: Catalogue[Maker]) -> None:
        with pytest.raises(ValueError, match="two of kind number are called 'one'"):
            numbers.register("one")(lambda: 3)


class TestNameIn:
    def test_a_registered_name_is_taken_and_another_refused_with_the_known_ones(
        self, numbers: Catalogue[Maker]
    ) -> None:
        adapter = TypeAdapter(Annotated[str, NameIn(numbers, "auto")])
        assert adapter.validate_python("two") == "two"
        assert adapter.validate_python("auto") == "auto"
        with pytest.raises(ValidationError, match="no number 'six': choose one of auto, one, two"):
            adapter.validate_python("six")
        with pytest.raises(ValidationError, match="valid string"):
            adapter.validate_python(2)

    def test_a_later_one_is_known_to_models_and_schemas_that_were_there_before(
        self, numbers: Catalogue[Maker]
    ) -> None:
        class Request(BaseModel):
            number: Annotated[str, NameIn(numbers, "auto")] = "auto"

        numbers.register("zero")(lambda: 0)
        assert Request(number="zero").number == "zero"
        schema = Request.model_json_schema()["properties"]["number"]
        assert schema["enum"] == ["auto", "one", "two", "zero"]
