"""Corpora: labelled speech, uploaded and partitioned by speaker."""
