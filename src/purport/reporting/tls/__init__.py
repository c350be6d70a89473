"""TLSRPT (RFC 8460): what other domains hear of our TLS connections to them."""
