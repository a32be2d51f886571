"""RAVDESS: English, 24 actors, 2 sentences, 8 emotions (Livingstone and Russo, PLoS ONE 2018).

Names: ``03-01-06-01-02-01-12`` = modality (03 audio only), channel (01 speech, 02 song), emotion,
intensity, statement, repetition, actor; actors with an odd number are men. Songs and the sound of
the videos (the same takes) are not read.
"""

import re
from typing import Final

from models.corpus.adapters.adapter import ADAPTERS
from models.corpus.labels import Labels, stem

EMOTIONS: Final = {
    "01": "neutral",
    "02": "calm",
    "03": "happiness",
    "04": "sadness",
    "05": "anger",
    "06": "fear",
    "07": "disgust",
    "08": "surprise",
}
NAME: Final = re.compile(r"03-01-(0[1-8])-(?:01|02)-(01|02)-(?:01|02)-(0[1-9]|1[0-9]|2[0-4])")


@ADAPTERS.register("ravdess")
def parse(path: str) -> Labels | None:
    """What the file name tells; None when it is not one of RAVDESS's spoken, audio-only clips."""
    match = NAME.fullmatch(stem(path))
    if match is None:
        return None
    emotion, statement, actor = match.groups()
    return Labels(actor, "m" if int(actor) % 2 else "f", EMOTIONS[emotion], statement)
