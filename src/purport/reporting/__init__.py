"""Daily reports to other domains: counted while mail passes, kept in `reports.db`, sent after the day is over.

`tls/` is TLSRPT (RFC 8460), `dmarc/` the aggregate reports of DMARC (RFC 9990), and its failure reports, which go out
at once (RFC 9991). What both share is beside them: days, destinations, the mail that a report goes in, the database,
the round that sends what is due.
"""
