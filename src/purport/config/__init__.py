"""Typed settings with their annotated defaults."""
