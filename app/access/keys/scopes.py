"""What a key may do."""

from enum import StrEnum


class Scope(StrEnum):
    PREDICT = "predict"
    AUDIT = "audit"
    TRAIN = "train"
    ADMIN = "admin"
