"""The `purport` command; one file per command group, loaded when it is called."""
