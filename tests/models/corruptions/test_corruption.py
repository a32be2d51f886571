"""The rules that hold for every corruption, and how one is given."""

import json
from typing import Any

import pytest
import torch
from pydantic import TypeAdapter, ValidationError

from models.corruptions import CORRUPTIONS, MAX_STRENGTHS, AnyCorruption, Corruption, parse
from models.features import WINDOW
from tests.models.corruptions.sounds import generator, speechlike
from tests.models.corruptions.table import GIVEN, NOISES, corruptions


@pytest.fixture(params=corruptions(), ids=Corruption.describe)
def corruption(request: pytest.FixtureRequest) -> Corruption:
    found: Corruption = request.param
    return found


class TestTheTable:
    def test_has_every_kind(self) -> None:
        assert {one.type for one in corruptions()} == set(CORRUPTIONS)


class TestTheAnswer:
    def test_is_a_finite_float32_waveform(self, corruption: Corruption) -> None:
        for strength in corruption.strengths:
            found = corruption.corrupt(speechlike(), strength, generator())
            assert (found.dtype, found.ndim) == (torch.float32, 1)
            assert bool(torch.isfinite(found).all())
            assert len(found) >= len(speechlike())

    def test_is_another_sound(self, corruption: Corruption) -> None:
        found = corruption.corrupt(speechlike(), corruption.strengths[0], generator())
        assert not torch.equal(found, speechlike())

    def test_leaves_the_clip_as_it_was(self, corruption: Corruption) -> None:
        clip = speechlike()
        corruption.corrupt(clip, corruption.strengths[-1], generator())
        assert torch.equal(clip, speechlike())

    def test_follows_from_the_generator_alone(self, corruption: Corruption) -> None:
        torch.manual_seed(1)
        first = corruption.corrupt(speechlike(), corruption.strengths[0], generator(5))
        torch.manual_seed(2)
        again = corruption.corrupt(speechlike(), corruption.strengths[0], generator(5))
        assert torch.equal(first, again)

    @pytest.mark.parametrize("samples", [1, 2, WINDOW, 12_347])
    def test_is_there_for_any_length(self, corruption: Corruption, samples: int) -> None:
        clip = speechlike()[:samples]
        for strength in corruption.strengths:
            found = corruption.corrupt(clip, strength, generator())
            assert len(found) >= samples
            assert bool(torch.isfinite(found).all())

    def test_of_digital_silence_is_finite(self, corruption: Corruption) -> None:
        for strength in corruption.strengths:
            found = corruption.corrupt(torch.zeros(4_000), strength, generator())
            assert bool(torch.isfinite(found).all())


class TestTheObject:
    def test_comes_back_equal_from_json(self, corruption: Corruption) -> None:
        text = json.dumps(corruption.model_dump(mode="json"))
        assert parse(json.loads(text)).with_recordings(NOISES) == corruption

    def test_is_frozen_and_hashable(self, corruption: Corruption) -> None:
        with pytest.raises(ValidationError):
            corruption.type = "other"  # type: ignore[misc]
        assert len({corruption, corruption}) == 1

    def test_its_strengths_are_no_parameters(self, corruption: Corruption) -> None:
        assert corruption.strength_name not in corruption.parameters()
        assert "type" not in corruption.parameters()
        strongest = corruption.model_copy(
            update={corruption.strength_name: corruption.strengths[:1]}
        )
        assert strongest.identity() == corruption.identity()

    def test_has_a_unit_and_a_description_of_each_parameter(self, corruption: Corruption) -> None:
        assert corruption.unit
        for name, field in type(corruption).model_fields.items():
            assert name == "type" or field.description, name


class TestRefusals:
    @pytest.mark.parametrize("given", GIVEN, ids=lambda given: given["type"])
    def test_no_strength_and_too_many(self, given: dict[str, Any]) -> None:
        name = CORRUPTIONS[given["type"]].strength_name
        one = getattr(parse(given), name)[0]
        for strengths in ([], [one] * (MAX_STRENGTHS + 1)):
            with pytest.raises(ValidationError) as refused:
                parse(given | {name: strengths})
            assert refused.value.errors()[0]["loc"] == (name,)

    @pytest.mark.parametrize("given", GIVEN, ids=lambda given: given["type"])
    @pytest.mark.parametrize("value", [-1e9, 1e9, float("nan"), float("inf"), "1", True, None])
    def test_a_strength_out_of_bounds_or_no_number(
        self, given: dict[str, Any], value: object
    ) -> None:
        name = CORRUPTIONS[given["type"]].strength_name
        with pytest.raises(ValidationError) as refused:
            parse(given | {name: [value]})
        assert refused.value.errors()[0]["loc"] == (name, 0)

    def test_a_strength_twice_is_named(self) -> None:
        with pytest.raises(ValidationError, match="holds 6 more than once"):
            parse({"type": "gain", "db": [6, -6, 6.0]})

    def test_an_unknown_parameter_and_an_unknown_kind(self) -> None:
        with pytest.raises(ValidationError, match="snr"):
            parse({"type": "gain", "db": [6], "snr": 1})
        with pytest.raises(
            ValidationError, match="'wind' is unknown: give one of background, band"
        ):
            parse({"type": "wind"})


class TestAsGiven:
    def test_one_strength_needs_no_list(self) -> None:
        assert parse({"type": "gain", "db": -6}) == parse({"type": "gain", "db": [-6]})

    def test_the_schema_is_the_union_of_all_kinds(self) -> None:
        adapter: TypeAdapter[Any] = TypeAdapter(list[AnyCorruption])
        schema = adapter.json_schema()
        assert set(schema["items"]["discriminator"]["mapping"]) == set(CORRUPTIONS)
        gains = schema["$defs"]["Gain"]["properties"]["db"]
        assert (gains["minItems"], gains["maxItems"]) == (1, MAX_STRENGTHS)
        assert (gains["items"]["minimum"], gains["items"]["maximum"]) == (-60, 60)
