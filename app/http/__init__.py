"""HTTP itself (RFC 9110): what every endpoint needs of it. Knows no domain."""
