"""File names of EmoDB, and names that only look like them; see test_every_adapter.py."""

from models.corpus.labels import Labels

NAMES = {
    "03a01Fa.wav": Labels("03", "m", "happiness", "a01"),
    "wav/08b03Wb.wav": Labels("08", "f", "anger", "b03"),
    "16b10Lb.wav": Labels("16", "f", "boredom", "b10"),
    "11a02Ac.wav": Labels("11", "m", "fear", "a02"),
    "13a05Ea.wav": Labels("13", "f", "disgust", "a05"),
    "15a07Tb.wav": Labels("15", "m", "sadness", "a07"),
    "14b09Nc.wav": Labels("14", "f", "neutral", "b09"),
}
FOREIGN = ["07a01Fa.wav", "03a01Xa.wav", "03a01F.wav", "03A01Fa.wav"]
