"""Decisions: results and settings in, an answer with its reasons out; no I/O."""
