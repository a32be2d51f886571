"""Trainings: a corpus, an architecture and a defence become a model of the registry."""
