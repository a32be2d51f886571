"""Signatures over what the service hands out: who made it, and that no byte of it changed since."""
