"""Purport: the mail server that asks who is responsible, and a library of its parts."""

__version__ = "0.1.0"
