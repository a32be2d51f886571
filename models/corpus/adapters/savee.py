"""SAVEE: English, 4 men, 120 utterances each, 7 emotions (Haq and Jackson, Surrey 2009).

Names: ``DC/a01`` or ``DC_a01`` = speaker, emotion (its first letters) and number of the utterance:
30 for neutral, 15 for the others. The number counts within the emotion, so emotion and number
together name the sentence.
"""

import re
from typing import Final

from models.corpus.adapters.adapter import ADAPTERS
from models.corpus.labels import Labels

EMOTIONS: Final = {
    "a": "anger",
    "d": "disgust",
    "f": "fear",
    "h": "happiness",
    "n": "neutral",
    "sa": "sadness",
    "su": "surprise",
}
NAME: Final = re.compile(r"(?:.*/)?(DC|JE|JK|KL)[/_](a|d|f|h|n|sa|su)(0[1-9]|[12][0-9]|30)")


@ADAPTERS.register("savee")
def parse(path: str) -> Labels | None:
    """What the speaker's folder and the file name tell; None when they are not SAVEE's."""
    match = NAME.fullmatch(path.rsplit(".", 1)[0])
    if match is None:
        return None
    speaker, emotion, number = match.groups()
    if int(number) > 15 and emotion != "n":
        return None
    return Labels(speaker, "m", EMOTIONS[emotion], emotion + number)
