"""Shells: one file per front door."""
