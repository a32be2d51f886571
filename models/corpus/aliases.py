"""Other names of the emotions: what corpora and models call the ones that all share here.

Only words for the same emotion, and the abbreviations of published corpora; nothing that is
near to one (excited, anxious, frustrated, …). They are applied where somebody asks for it: a label
that changes by itself would mislead.
"""

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from typing import Final

from models.corpus.manifest import CorpusError, Manifest

WORDS: Final = {
    "anger": "angry ang wut ärger wütend rabbia colère ira enojo raiva",
    "boredom": "bored bor langeweile noia ennui aburrimiento",
    "calm": "cal ruhig",
    "disgust": "disgusted dis ekel disgusto dégoût asco nojo",
    "fear": "fearful afraid scared fea angst paura peur miedo medo",
    "guilt": "guilty schuld colpa",
    "happiness": "happy hap joy joyful freude gioia joie alegría felicidad alegria",
    "neutral": "neutrality neu neutrale neutro neutre",
    "sadness": "sad trauer traurig tristezza tristesse tristeza",
    "surprise": "surprised sur ps überraschung sorpresa sorpreso",
}
ALIASES: Final = {alias: name for name, words in WORDS.items() for alias in words.split()}
"""The shared name by the other one, in lower case."""

MOST_NAMED: Final = 5


def renamed(
    manifest: Manifest, labels: Mapping[str, str] | None = None, *, aliases: bool = False
) -> Manifest:
    """The clips with their emotions called otherwise.

    Args:
        manifest: the clips.
        labels: the new name by the old one; these go before the aliases.
        aliases: whether `ALIASES` are applied to the others.

    Raises:
        CorpusError: a label to rename is that of no clip (code ``unknown_label``).
    """
    labels = labels or {}
    unknown = sorted(set(labels) - set(manifest.emotions))
    if unknown:
        raise CorpusError(
            "unknown_label",
            f"labels renames {unknown[0]!r}, which is the emotion of no clip; there are"
            f" {', '.join(manifest.emotions[:20])}.",
        )
    table = {**(ALIASES if aliases else {}), **labels}
    return Manifest(
        tuple(replace(clip, emotion=table.get(clip.emotion, clip.emotion)) for clip in manifest)
    )


def hint(unknown: Iterable[str], known: Collection[str]) -> str | None:
    """What to do about emotions that a model calls otherwise; None if it has none of them.

    Args:
        unknown: emotions of a corpus that the model does not know.
        known: the model's labels.
    """
    shared = {ALIASES.get(name, name): name for name in known}
    pairs = {
        name: shared[meant]
        for name in unknown
        if (meant := ALIASES.get(name, name)) in shared and shared[meant] != name
    }
    if not pairs:
        return None
    shown = json.dumps(dict(list(pairs.items())[:MOST_NAMED]), ensure_ascii=False)
    by_table = all(ALIASES.get(name) == label for name, label in pairs.items())
    either = '"aliases": true or ' if by_table else ""
    more = "" if len(pairs) <= MOST_NAMED else " and so on"
    return (
        "Some of them seem to be the same by another name: upload the corpus again with"
        f' {either}"labels": {shown}{more}'
    )
