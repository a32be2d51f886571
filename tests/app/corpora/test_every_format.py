"""Every corpus that an adapter can read is taken over REST, by the names in the adapter's tests."""

from typing import Any

import pytest
from fastapi.testclient import TestClient

from models.corpus import ADAPTERS
from tests.app.corpora.zips import packed, upload, wav
from tests.models.corpus.adapters.test_every_adapter import names
from tests.models.pages import added

KITCHEN = ["anna_f_03_ang.wav", "ben_m_12_hap.wav", "cara_f_03_ang.wav", "dan_m_12_hap.wav"]


def clips(paths: list[str]) -> bytes:
    return packed({path: wav(seed) for seed, path in enumerate(paths)})


@pytest.mark.parametrize("asked", ["auto", None])
@pytest.mark.parametrize("corpus", ADAPTERS)
def test_a_corpus_is_taken_under_its_format_and_recognised_without(
    client: TestClient, corpus: str, asked: str | None
) -> None:
    answer = upload(client, clips(list(names(corpus))), format=asked or corpus)
    assert answer.status_code == 201, answer.text
    made = answer.json()
    assert made["format"] == corpus
    emotions = [labels.emotion for labels in names(corpus).values()]
    assert made["classes"] == {name: emotions.count(name) for name in sorted(set(emotions))}
    assert made["speakers"] == len({labels.speaker for labels in names(corpus).values()})


def test_one_added_as_one_file_is_taken_like_the_others(client: TestClient) -> None:
    """That of docs/adding-a-corpus.md."""
    with added("adding-a-corpus.md"):
        for asked in ("kitchen", "auto"):
            answer = upload(client, clips(KITCHEN), format=asked)
            assert answer.status_code == 201, answer.text
            assert answer.json()["format"] == "kitchen"
            assert answer.json()["classes"] == {"anger": 2, "happiness": 2}
        document: dict[str, Any] = client.get("/openapi.json").json()
    assert (
        "kitchen"
        in document["components"]["schemas"]["CorpusRequest"]["properties"]["format"]["enum"]
    )


def test_a_format_that_nothing_reads_is_422_with_those_that_are_read(client: TestClient) -> None:
    problem = upload(client, clips(KITCHEN), format="kitchen").json()
    (fault,) = problem["errors"]
    assert (fault["field"], fault["value"]) == ("format", "'kitchen'")
    assert fault["remedy"] == f"choose one of auto, index, {', '.join(sorted(ADAPTERS))}"
