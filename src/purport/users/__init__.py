"""Who may log in, and how that is found out: users of the settings and of a file, Dovecot, OAuth tokens."""
