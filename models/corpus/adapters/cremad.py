"""CREMA-D: English, 91 actors, 12 sentences, 6 emotions (Cao et al., IEEE TAC 2014).

Names: ``1001_DFA_ANG_XX`` = actor, sentence, emotion, level (LO, MD, HI, XX unspecified). One
file of the distribution, 1040_ITH_SAD_X, lacks a letter of its level. The name does not tell the
actor's gender; it is read from the corpus's table of demographics.
"""

import re
from typing import Final

from models.corpus.adapters.adapter import ADAPTERS
from models.corpus.labels import Labels, stem

EMOTIONS: Final = {
    "ANG": "anger",
    "DIS": "disgust",
    "FEA": "fear",
    "HAP": "happiness",
    "NEU": "neutral",
    "SAD": "sadness",
}
# Of the actors 1001 to 1091, in order.
GENDERS: Final = (
    "mfffmfffffmffmmmmfmffmmffmmfffmmmmmmfmmmmmfmmffmfmmfffffmfmffmfmmmmmmmmfffffmffmmfmfmmmmfmf"
)
NAME: Final = re.compile(
    r"(10[0-9]{2})_(DFA|IEO|IOM|ITH|ITS|IWL|IWW|MTI|TAI|TIE|TSI|WSI)"
    r"_(ANG|DIS|FEA|HAP|NEU|SAD)_(LO|MD|HI|XX|X)"
)


@ADAPTERS.register("cremad")
def parse(path: str) -> Labels | None:
    """What the file name tells; None when it is not one of CREMA-D's."""
    match = NAME.fullmatch(stem(path))
    if match is None:
        return None
    actor, sentence, emotion, _ = match.groups()
    number = int(actor) - 1001
    if not 0 <= number < len(GENDERS):
        return None
    return Labels(actor, GENDERS[number], EMOTIONS[emotion], sentence)
