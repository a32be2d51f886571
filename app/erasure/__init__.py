"""Erasing what a key owns, or what is older than some time: corpora, models and jobs."""
