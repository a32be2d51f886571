"""Remedies that can be run: each patch makes a request that is accepted, and settles its check."""

from dataclasses import replace
from typing import Any

import pytest
from fastapi.testclient import TestClient

from app.audits.remedies import patched, without_refused
from app.audits.schemas import AuditRequest, parse_posted
from app.corpora.tables import Corpus
from models.audit.checks import Remedy, judge
from tests.models.audit.checks.planted import FLAWS, SOUND, Audit
from tests.workers.audits.audits import audited, request
from workers.runtime.context import WorkerContext

FGSM = {"type": "fgsm", "epsilon": [0.4]}
NOISE = {"type": "noise", "epsilon": [0.4]}
STEPS = [{"type": "pgd", "epsilon": [0.6], "steps": n, "step": 0.2} for n in (2, 4)]
ASKED: dict[str, Audit] = {
    **FLAWS,
    "few_right_before": replace(FLAWS["few_right_before"], request={"limit": 9}),
    "two_runs": replace(FLAWS["two_runs"], request={"precision": "tf32"}),
    "budget": replace(SOUND, written=None, request={"save_adversarial": False}),
}


def patches(audit: Audit) -> dict[str, dict[str, Any]]:
    return {
        one.id: one.remedy.request
        for one in judge(audit.observed()).checks
        if one.remedy is not None and one.remedy.request is not None
    }


class TestPatch:
    def test_it_is_merged_as_rfc_7396_has_it(self) -> None:
        """The example of its Section 3, in short."""
        request = {"a": "b", "c": {"d": "e", "f": "g"}, "h": [1]}
        patch = {"a": "z", "c": {"f": None}, "h": [2, 3]}
        assert patched(request, patch) == {"a": "z", "c": {"d": "e"}, "h": [2, 3]}

    def test_one_that_would_be_refused_is_left_out_and_its_text_stays(self) -> None:
        (check,) = (
            one for one in judge(FLAWS["no_control"].observed()).checks if one.id == "no_control"
        )
        sound = {"model": "m", "corpus": "c", "attacks": [FGSM]}
        assert without_refused(sound, [check]) == [check]
        many = {"type": "gain", "db": [float(one) for one in range(1, 30)]}
        full = sound | {"corruptions": [many, {"type": "noise", "snr_db": list(range(29))}]}
        (found,) = without_refused(full, [check])
        assert found.remedy is not None
        assert check.remedy is not None
        assert (found.remedy.text, found.remedy.request) == (check.remedy.text, None)


class TestDryRun:
    def test_every_patch_is_accepted_and_at_least_twelve_checks_have_one(
        self, client: TestClient, model: str, corpus: Corpus, context: WorkerContext
    ) -> None:
        seen: dict[str, dict[str, Any]] = {}
        for name, audit in ASKED.items():
            found = patches(audit)
            seen |= {name: found[name]} if name in found else {}
        assert len(seen) >= 12, sorted(seen)
        for name, patch in seen.items():
            asked = patched(request(model, corpus, attacks=[FGSM]), patch)
            answer = client.post("/v1/audits?dry_run=true", json=asked)
            assert answer.status_code == 200, (name, answer.text)


class TestPreset:
    """A stored request names its preset beside what it stands for; posted, it is expanded again."""

    PRESETS = ("quick", "icassp2020-reference-code")

    @staticmethod
    def stored(preset: str) -> dict[str, Any]:
        asked = AuditRequest.model_validate({"model": "m", "corpus": "c", "preset": preset})
        return asked.to_request()

    @pytest.mark.parametrize("preset", PRESETS)
    def test_every_patch_of_attacks_is_accepted_and_not_undone(
        self, client: TestClient, model: str, corpus: Corpus, context: WorkerContext, preset: str
    ) -> None:
        stored = self.stored(preset)
        seen = set()
        for name, audit in ASKED.items():
            for check, patch in patches(replace(audit, request=stored)).items():
                if check != name or "attacks" not in patch:
                    continue
                seen.add(name)
                asked = patched(stored | {"model": model, "corpus": corpus.id}, patch)
                answer = client.post("/v1/audits?dry_run=true", json=asked)
                assert answer.status_code == 200, (name, answer.text)
                assert parse_posted(asked).to_request()["attacks"] == patch["attacks"], name
                assert asked["windows"] == stored["windows"]
        assert seen >= {"no_control", "fgsm_alone", "steps_gain", "predicted_labels"}, seen

    @pytest.mark.parametrize("preset", PRESETS)
    def test_that_would_refuse_the_patch_when_posted_leaves_its_text(self, preset: str) -> None:
        """The same attack with other strengths: the preset would add its own beside it."""
        stored = self.stored(preset)
        patch = {"attacks": [stored["attacks"][0] | {"epsilon": [0.2]}]}
        (check,) = (
            one for one in judge(FLAWS["no_control"].observed()).checks if one.id == "no_control"
        )
        remedy = Remedy(text="Attack harder.", request=patch)
        (found,) = without_refused(stored, [check.model_copy(update={"remedy": remedy})])
        assert found.remedy == Remedy(text="Attack harder.")


@pytest.mark.parametrize(
    ("name", "attacks"),
    [
        ("no_control", [FGSM]),
        ("fgsm_alone", [FGSM, NOISE]),
        ("steps_gain", [*STEPS, NOISE]),
    ],
)
def test_a_patched_run_clears_the_check(
    client: TestClient,
    model: str,
    corpus: Corpus,
    context: WorkerContext,
    name: str,
    attacks: list[dict[str, Any]],
) -> None:
    def check(job: dict[str, Any]) -> dict[str, Any]:
        (found,) = (one for one in job["result"]["checks"] if one["id"] == name)
        return dict(found)

    first = audited(client, request(model, corpus, attacks=attacks))
    assert check(first)["status"] == "raised"
    second = audited(client, patched(first["input"], check(first)["remedy"]["request"]))
    assert check(second)["status"] == "clear", check(second)
