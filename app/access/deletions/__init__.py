"""The trail of deletions: what went, when, and at whose order. For admins."""
