"""What a report says of a model's training: enough for a reader, and not all of it."""

from app.reports.facts import facts
from tests.app.reports.made import made


def test_a_training_is_told_in_a_few_words() -> None:
    report = made().report
    report.model.training = {
        "corpus": "CREMA-D",
        "public_speakers": {"cremad": [str(1000 + number) for number in range(56)]},
        "recipe": {
            "attack": {"type": "fgsm", "clip": None},
            "augment": [{"type": "gain", "db": [-20]}, {"type": "reverb"}],
            "decay_at": [1, 2],
        },
    }
    assert dict(facts(report))["Training"] == (
        "corpus CREMA-D, public_speakers cremad (56 of them), recipe attack fgsm,"
        " augment [gain, reverb], decay_at [1, 2]"
    )
