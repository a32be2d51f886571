"""Comparisons of audits: computed when they are asked for, and never stored."""
