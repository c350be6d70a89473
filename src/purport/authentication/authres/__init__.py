"""Authentication-Results: what was found about a message, for those behind us (RFC 8601)."""
