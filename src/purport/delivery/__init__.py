"""Outbound: routes, attempts, failures, reports."""
