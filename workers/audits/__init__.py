"""The work of an audit."""
