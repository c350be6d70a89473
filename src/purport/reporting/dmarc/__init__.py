"""DMARC aggregate reports (RFC 9990): what owners of domains hear of the mail that names them as authors."""
