"""An audit whose attacks are carried out on another model of the registry."""

import pytest
from fastapi.testclient import TestClient
from sqlalchemy.orm import Session

from app.corpora.tables import Corpus
from tests import spoken
from tests.workers.audits.audits import CLIPS, audited, request, rows
from workers.runtime.context import WorkerContext

PGD = {"type": "pgd", "epsilon": [0.4, 0.6], "steps": 3}
WAVE = {"type": "pgd", "domain": "waveform", "snr_db": [20, 5], "steps": 3}


@pytest.fixture
def twin(context: WorkerContext, session: Session) -> str:
    """The same model again."""
    return spoken.add_model(session, context.storage, name="a twin")


@pytest.fixture
def other(context: WorkerContext, session: Session) -> str:
    """The same function of the speech, whose features are z-scored otherwise."""
    return spoken.add_model(session, context.storage, name="another ear", understated=2)


@pytest.mark.parametrize("attack", [PGD, WAVE], ids=["features", "waveform"])
def test_from_a_twin_it_is_the_attack_itself(
    client: TestClient, model: str, twin: str, corpus: Corpus, context: WorkerContext,
    attack: dict[str, object],
) -> None:  # fmt: skip
    transfer = {"type": "transfer", "from": twin, "attack": attack}
    job = audited(client, request(model, corpus, attacks=[attack, transfer]))
    half = len(job["result"]["curve"]) // 2
    own, transferred = job["result"]["curve"][:half], job["result"]["curve"][half:]
    for one, same in zip(own, transferred, strict=True):
        assert one | {"attack": 1} == same
        assert one["right_before"] == CLIPS
    assert own[-1]["success_rate"] > 0
    for row in rows(context, job["id"]):
        outcomes = row["attacked"]
        for one, same in zip(outcomes[:half], outcomes[half:], strict=True):
            assert (one["label"], one["distortion"]) == (same["label"], same["distortion"])


def test_the_result_names_the_source_and_what_it_cost_there(
    client: TestClient, model: str, other: str, corpus: Corpus
) -> None:
    transfer = {"type": "transfer", "from": other, "attack": PGD}
    job = audited(client, request(model, corpus, attacks=[transfer]))
    (told,) = job["result"]["attacks"]
    assert (told["type"], told["parameters"]["from"]) == ("transfer", other)
    assert told["parameters"]["attack"]["type"] == "pgd"
    assert told["cost"]["queries"] == 0
    assert told["cost"]["backwards"] == CLIPS * 2 * 3
    assert job["result"]["forecast"]["backwards"] == CLIPS * 2 * 3
    assert job["result"]["cost"]["forwards"] == job["result"]["forecast"]["forwards"]
