"""The registry of models: starters, uploads and what was trained here."""
