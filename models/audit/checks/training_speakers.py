"""The model knows the voices that it is audited on."""

from collections.abc import Sequence
from typing import Any, Final

from models.audit.checks.check import CHECKS, Check
from models.audit.checks.observed import Observed
from models.audit.checks.outcome import Clear, NotRun, Outcome, Raised
from models.corpus import ADAPTERS
from models.provenance import speaker_hash

MOST: Final = 0.05


@CHECKS.register("training_speakers")
class TrainingSpeakers(Check):
    """Clips of speakers that the model was trained on."""

    id = "training_speakers"
    title = "The model was trained on speakers of these clips"
    version = 2
    severity = "invalid"
    reads = "speakers of the clips, and those that the model's configuration keeps of its training"
    raised_if = (
        "more than 5 % of the clips are of speakers that the model was trained on; where the"
        " speakers of more than 5 % are not known, and those that are do not make so many, it is"
        " not run"
    )
    remedy = "Audit clips of speakers that the model has not heard: it does better on those it has."

    def look(self, audit: Observed) -> Outcome:
        """See :class:`Check`."""
        if not audit.clips:
            return NotRun("There is nothing known of the clips.")
        training = audit.training
        if training.corpus is not None and training.corpus == audit.corpus:
            return self._of_its_corpus(audit)
        public = [_public(audit, place) for place in range(len(audit.clips))]
        if training.public_speakers and any(one is not None for one in public):
            return self._told(audit, public)
        if not training.speakers_sha256:
            return NotRun(
                "No clip is named as in a public corpus, and the model's configuration names"
                " speakers of public corpora alone."
                if training.public_speakers
                else "The model's configuration names no speakers of its training."
            )
        named = _by_name(audit)
        if same := sum(one is True for one in named):
            return NotRun(
                f"Speakers of {same} clips are called as some of the training's are, in another"
                " corpus: whether they are the same is not known."
            )
        return self._told(audit, named)

    def _of_its_corpus(self, audit: Observed) -> Outcome:
        """Where a name is a person."""
        training = audit.training
        partition = audit.request.get("partition", "test")
        if training.speakers_sha256:
            return self._told(audit, _by_name(audit))
        if _fold(training.fold) == _fold(audit.request.get("fold")) and (
            partition == "all" or partition in training.train_on.split("+")
        ):
            told = f"The model was trained on {training.train_on} of this corpus."
            return Raised(told, self.remedy, self._elsewhere(audit))
        return NotRun("The model's configuration names no speakers of its training.")

    def _told(self, audit: Observed, trained_on: Sequence[bool | None]) -> Outcome:
        """Of each clip, whether the model was trained on its speaker; None if that is not known."""
        clips = len(trained_on)
        known, same = sum(one is not None for one in trained_on), sum(map(bool, trained_on))
        if clips - known > MOST * clips and same <= MOST * clips:
            return NotRun(f"Speakers of {clips - known} clips are not known.")
        of = f"{clips} clips" if known == clips else f"{known} clips whose speakers are known"
        told = f"{same} of {of} are of speakers of the training."
        if same <= MOST * known:
            return Clear(told)
        return Raised(told, self.remedy, self._elsewhere(audit))

    def _elsewhere(self, audit: Observed) -> dict[str, Any] | None:
        """The part of the training's corpus that it has not heard."""
        training = audit.training
        fold = _fold(training.fold)
        there = (audit.request.get("partition"), _fold(audit.request.get("fold")))
        if training.corpus != audit.corpus or there == ("test", fold):
            return None
        return {"partition": "test", "fold": fold}


def _fold(fold: Any) -> dict[str, Any] | None:
    """In JSON's types."""
    if fold is None or isinstance(fold, dict):
        return fold
    told: dict[str, Any] = fold.model_dump(mode="json")
    return told


def _by_name(audit: Observed) -> list[bool | None]:
    """Whether each clip's speaker is called as one of the training's; None without a name."""
    there = audit.training.speakers_sha256
    return [
        None if clip.speaker is None else speaker_hash(clip.speaker) in there
        for clip in audit.clips
    ]


def _public(audit: Observed, place: int) -> bool | None:
    """Whether the model learnt from a clip's speaker, by the name of its file; None if that is not
    named as in a public corpus."""
    for key, parse in ADAPTERS.items():
        labels = parse(audit.clips[place].name)
        if labels is not None:
            return labels.speaker in audit.training.public_speakers.get(key, ())
    return None
