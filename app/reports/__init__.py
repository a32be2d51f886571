"""Reports of audits, for people: pages that open offline, with charts and tables."""
