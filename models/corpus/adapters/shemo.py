"""ShEMO: Persian radio plays, 87 speakers, 6 emotions (Mohamad Nezami et al., LREV 2019).

Names: ``F21N05`` = gender, speaker (numbered within the gender), emotion, number of the utterance.
The letters are described in the corpus's README (https://github.com/mansourehk/ShEMO): S sadness,
A anger, H happiness, W surprise, F fear, N neutral. What is said differs from clip to clip.
"""

import re
from typing import Final

from models.corpus.adapters.adapter import ADAPTERS
from models.corpus.labels import Labels, stem

EMOTIONS: Final = {
    "A": "anger",
    "F": "fear",
    "H": "happiness",
    "N": "neutral",
    "S": "sadness",
    "W": "surprise",
}
NAME: Final = re.compile(r"(([FM])[0-9]{2})([AFHNSW])[0-9]{2,3}")


@ADAPTERS.register("shemo")
def parse(path: str) -> Labels | None:
    """What the file name tells; None when it is not one of ShEMO's."""
    match = NAME.fullmatch(stem(path))
    if match is None:
        return None
    speaker, gender, emotion = match.groups()
    return Labels(speaker, gender.lower(), EMOTIONS[emotion], "")
