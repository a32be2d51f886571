"""What holds for every preset, and for one that is added."""

from collections.abc import Iterator

import pytest

from models.attacks import Attack
from models.audit.perturbation import Perturbation
from models.presets import PRESETS, Preset, described
from models.presets.preset import description
from tests.models.pages import added

SOURCE = "another-model"
REPEATED = {"icassp2020-paper", "icassp2020-reference-code"}
"""Other people's methods, which had no control."""


@pytest.fixture(params=sorted(PRESETS))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def preset(name: str) -> type[Preset]:
    return PRESETS[name]


def perturbations(preset: type[Preset]) -> list[Perturbation]:
    return [*attacks(preset), *preset.corruptions]


def adversaries(preset: type[Preset]) -> Iterator[Attack]:
    return (one for one in attacks(preset) if not one.control)


def attacks(preset: type[Preset]) -> tuple[Attack, ...]:
    return (*preset.attacks, *preset.transferred(SOURCE))


class TestEveryPreset:
    def test_runs_something_each_thing_once(self, preset: type[Preset]) -> None:
        found = [one.identity() for one in perturbations(preset)]
        assert found
        assert len(set(found)) == len(found)

    def test_has_strengths(self, preset: type[Preset]) -> None:
        assert all(one.strengths for one in perturbations(preset))

    def test_says_what_it_is_for(self, name: str, preset: type[Preset]) -> None:
        assert description(preset).endswith(".")
        assert f"{name}: {description(preset)}" in described()

    def test_has_noise_of_the_size_of_each_attack(self, name: str, preset: type[Preset]) -> None:
        noise = {(one.threat, size) for one in preset.attacks if one.control
                 for size in one.strengths}  # fmt: skip
        sizes = {(one.threat, size) for one in adversaries(preset) for size in one.strengths}
        assert (sizes == noise) is (name not in REPEATED)

    def test_takes_a_source_if_it_has_attacks_on_one(self, preset: type[Preset]) -> None:
        assert preset.takes_a_source is bool(preset.transferred(SOURCE))
        assert all(one.sources == (SOURCE,) for one in preset.transferred(SOURCE))


class TestAddingAPreset:
    def test_the_example_of_the_page_is_found_by_its_name(self) -> None:
        with added("adding-a-preset.md"):
            assert "call-centre: " in described()
            assert PRESETS["call-centre"].corruptions
        assert "call-centre" not in PRESETS
