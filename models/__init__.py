"""The science of Serval: front end, networks, attacks, defences, corpora, training, audit.

PyTorch only: no web, no queue, no database. It also runs alone on a bare GPU machine.
"""
