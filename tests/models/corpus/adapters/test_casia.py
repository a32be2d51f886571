"""File names of CASIA, and names that only look like them; see test_every_adapter.py."""

from models.corpus.labels import Labels

NAMES = {
    "liuchanhg/angry/201.wav": Labels("liuchanhg", "f", "anger", "201"),
    "CASIA database/ZhaoZuoxiang/happy/250.wav": Labels("zhaozuoxiang", "m", "happiness", "250"),
    "202-neutral-zhaoquanyin.wav": Labels("zhaoquanyin", "f", "neutral", "202"),
    "all/203-surprise-wangzhe.wav": Labels("wangzhe", "m", "surprise", "203"),
}
FOREIGN = [
    "angry/201.wav",
    "liuchanhg/201.wav",
    "liuchanhg/angry/first.wav",
    "someone/angry/201.wav",
    "liuchanhg/bored/201.wav",
    "202-neutral.wav",
]
