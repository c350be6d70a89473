"""The addresses of a host name, both families asked for at once."""

from __future__ import annotations

from purport.dns.lookup import Evaluation, Question, Status


def addresses_of(host: str) -> Evaluation[tuple[str, ...]]:
    """The addresses of a host (lower case, A-labels), those of IPv6 first; none where the DNS names none, or fails."""
    answers = yield (Question(host, "AAAA"), Question(host, "A"))
    return tuple([record for answer in answers if answer.status is Status.FOUND for record in answer.records])
