"""Sender ID: the purported responsible address (RFC 4407) and the check for it (RFC 4406)."""
