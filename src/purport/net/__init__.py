"""I/O: the only users of sockets and DNS packets."""
