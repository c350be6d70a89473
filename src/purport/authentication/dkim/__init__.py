"""DKIM: signatures of domains over messages (RFC 6376, 8301, 8463, 8616)."""
