"""File names of EMOVO, and names that only look like them; see test_every_adapter.py."""

from models.corpus.labels import Labels

NAMES = {
    "f1/dis-f1-b1.wav": Labels("f1", "f", "disgust", "b1"),
    "m3/sor-m3-n5.wav": Labels("m3", "m", "surprise", "n5"),
    "gio-m1-l4.wav": Labels("m1", "m", "happiness", "l4"),
    "neu-f2-d2.wav": Labels("f2", "f", "neutral", "d2"),
    "pau-f3-b3.wav": Labels("f3", "f", "fear", "b3"),
    "rab-m2-l1.wav": Labels("m2", "m", "anger", "l1"),
    "tri-f1-n1.wav": Labels("f1", "f", "sadness", "n1"),
}
FOREIGN = ["dis-f4-b1.wav", "xyz-f1-b1.wav", "dis-f1-d3.wav", "dis-f1.wav"]
