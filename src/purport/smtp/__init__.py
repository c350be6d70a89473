"""The SMTP protocol, both roles, as state machines without I/O (RFC 5321)."""
