"""Audits: a model, clips and attacks become rows, figures, pictures and sounds."""
