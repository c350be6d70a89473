"""Daily reports to other domains: counted while mail passes, kept in `reports.db`, sent after the day is over.

`tls/` is TLSRPT (RFC 8460). What all kinds of reports share is beside it: days, destinations, the mail that a report
goes in, the database, the round that sends what is due.
"""
