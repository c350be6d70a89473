"""The tables of the settings file, by subject: each key with its default and what it is for."""
