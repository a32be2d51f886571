"""The science of Serval: front end, networks, attacks, defences, corpora, training, audit.

No web, no queue, no database: it also runs alone on a bare GPU machine. Where it says "the paper",
it means the one whose numbers stand in ``docs/paper.md``.
"""
