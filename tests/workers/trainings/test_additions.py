"""A defence that is one file is trained with, and its model says so."""

import pytest

from app.corpora.tables import Corpus
from app.jobs.tables import Job
from app.registry import service as registry
from models.provenance import Provenance
from tests.models.pages import added
from tests.workers.conftest import Submit
from workers.jobs import PERFORM
from workers.runtime import run
from workers.runtime.context import WorkerContext


@pytest.mark.usefixtures("corpus")
def test_the_defence_of_the_page_is_trained_with(context: WorkerContext, submit: Submit) -> None:
    with added("adding-a-defense.md") as names:
        job = submit(defense={"type": "logit-pairing", "weight": 2.0})
        run._run(context, PERFORM, job.id)
        with context.sessions() as session:
            row = session.get_one(Job, job.id)
            assert row.model is not None, row.error
            entry = registry.get(session, context.storage, row.model, owner="local")
        assert entry.config.defense == {"type": "logit-pairing", "weight": 2.0}
        recipe = Provenance.of(entry.config).recipe
        assert recipe is not None
        assert recipe.defense == names["LogitPairing"](weight=2.0)
    assert entry.name == "tiny-logit-pairing speechless"


def test_the_architecture_of_the_page_is_trained_and_can_be_loaded(
    context: WorkerContext, submit: Submit, corpus: Corpus
) -> None:
    with added("adding-an-architecture.md") as names:
        job = submit(architecture="small", iterations=2)
        run._run(context, PERFORM, job.id)
        with context.sessions() as session:
            row = session.get_one(Job, job.id)
            assert row.model is not None, row.error
            entry = registry.get(session, context.storage, row.model, owner="local")
        assert isinstance(registry.load_entry(entry), names["Small"])
