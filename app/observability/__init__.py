"""What an operator sees: request ids, logs, metrics, health."""
