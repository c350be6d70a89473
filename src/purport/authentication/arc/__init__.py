"""The Authenticated Received Chain: what those saw who had a message before us (RFC 8617)."""
