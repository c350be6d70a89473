"""What owners of domains hear of the mail that names them as authors (DMARC): aggregate reports once a day (RFC 9990),
and failure reports at once (RFC 9991)."""
