"""SASL mechanisms (RFC 4422) without I/O, one file each, both sides of them."""
