"""Where things are kept: rows, files, and the identifiers that tie them together."""
