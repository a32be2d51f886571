"""A preset in a request: it is expanded when it comes, and never again."""

from typing import Any

import pytest
from fastapi.testclient import TestClient

from app.audits.schemas import AuditRequest, parse_request
from models.attacks.pgd import Pgd
from models.presets import PRESETS, Preset
from models.presets.quick import Quick
from tests.app.audits.test_submission import refused

FGSM = {"type": "fgsm", "epsilon": [0.02, 0.04, 0.06, 0.08, 0.1]}


@pytest.fixture
def plain(body: dict[str, Any]) -> dict[str, Any]:
    """A request without attacks of its own."""
    return {name: value for name, value in body.items() if name != "attacks"}


def stored(client: TestClient, request: dict[str, Any]) -> dict[str, Any]:
    """What a job keeps of a request."""
    answer = client.post("/v1/audits", json=request)
    assert answer.status_code == 202, answer.text
    found: dict[str, Any] = answer.json()["input"]
    return found


class Other(Preset):
    """What a later version makes of a name."""

    attacks = (Pgd(epsilon=(0.5,)),)
    fields = {"windows": "first"}  # noqa: RUF012  (never changed)


class TestPreset:
    def test_is_stored_by_its_name_beside_all_that_is_run(
        self, client: TestClient, plain: dict[str, Any]
    ) -> None:
        found = stored(client, plain | {"preset": "quick"})
        assert found["preset"] == "quick"
        assert found["attacks"] == [one.model_dump(mode="json") for one in Quick.attacks]

    def test_comes_behind_attacks_of_the_request(
        self, client: TestClient, plain: dict[str, Any]
    ) -> None:
        own = {"type": "pgd", "epsilon": [0.02]}
        found = stored(client, plain | {"preset": "quick", "attacks": [own]})
        assert [one["type"] for one in found["attacks"]] == ["pgd", "fgsm", "noise"]

    def test_adds_nothing_that_is_there_already(
        self, client: TestClient, plain: dict[str, Any]
    ) -> None:
        found = stored(client, plain | {"preset": "quick", "attacks": [FGSM]})
        assert [one["type"] for one in found["attacks"]] == ["fgsm", "noise"]

    def test_of_a_stored_request_can_be_asked_for_again(
        self, client: TestClient, plain: dict[str, Any]
    ) -> None:
        found = stored(client, plain | {"preset": "icassp2020-paper"})
        assert stored(client, found) == found

    def test_that_means_something_else_today_changes_no_stored_request(
        self, client: TestClient, plain: dict[str, Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        found = stored(client, plain | {"preset": "quick"})
        monkeypatch.setitem(PRESETS, "quick", Other)
        assert parse_request(found).to_request() == found

    def test_sets_the_other_fields_of_its_method(
        self, client: TestClient, plain: dict[str, Any]
    ) -> None:
        found = stored(client, plain | {"preset": "icassp2020-reference-code"})
        assert found["windows"] == "first"
        (fgsm,) = found["attacks"]
        assert (fgsm["labels"], fgsm["clip"]) == ("predicted", 0.1)

    def test_without_one_a_request_is_stored_without_the_field(
        self, client: TestClient, body: dict[str, Any]
    ) -> None:
        assert "preset" not in stored(client, body)


class TestTransferFrom:
    def test_becomes_attacks_on_that_model(self, plain: dict[str, Any]) -> None:
        asked = plain | {"preset": "thorough", "transfer_from": "other"}
        found = AuditRequest.model_validate(asked)
        (carried,) = (one for one in found.attacks if one.type == "transfer")
        assert carried.sources == ("other",)
        assert "transfer_from" not in found.to_request()

    def test_without_it_nothing_is_carried_over(self, plain: dict[str, Any]) -> None:
        found = AuditRequest.model_validate(plain | {"preset": "thorough"})
        assert "transfer" not in {one.type for one in found.attacks}


class TestRefused:
    @pytest.mark.parametrize(
        ("more", "field", "value", "remedy"),
        [
            ({"preset": "strict"}, "preset", "'strict'", "icassp2020-paper, "),
            ({"preset": 7}, "preset", "7", "text"),
            ({"preset": "quick", "transfer_from": "x"}, "transfer_from", "'x'", "type transfer"),
            ({"transfer_from": "x"}, "transfer_from", "'x'", "such a preset"),
            ({"preset": "thorough", "transfer_from": ""}, "transfer_from", "''", "1 character"),
            ({"preset": "icassp2020-paper", "windows": "all"}, "windows", "'all'",
             "leave one of the two out"),
            ({"preset": "quick", "attacks": [{"type": "fgsm", "epsilon": [0.3]}]}, "attacks.1",
             "FGSM", "leave the preset out"),
            ({"preset": "quick", "attacks": None}, "attacks", "None", "list"),
        ],
    )  # fmt: skip
    def test_what_does_not_go_together_is_named_with_a_remedy(
        self,
        client: TestClient,
        plain: dict[str, Any],
        more: dict[str, Any],
        field: str,
        value: str,
        remedy: str,
    ) -> None:
        fault = refused(client, {"attacks": [FGSM], **plain, **more})["errors"][0]
        assert fault["field"] == field
        assert value in fault["value"]
        assert remedy in f"{fault['message']} {fault['remedy']}"


class TestOpenApi:
    def test_lists_every_preset_with_what_it_is_for(self, client: TestClient) -> None:
        document = client.get("/openapi.json").json()
        for schema in ("AuditRequest", "UploadedAuditRequest"):
            field = document["components"]["schemas"][schema]["properties"]["preset"]
            assert field["anyOf"][0]["enum"] == sorted(PRESETS)
            assert all(f"{name}: " in field["description"] for name in PRESETS)
