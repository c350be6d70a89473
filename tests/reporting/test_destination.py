"""The URIs that reports go to."""

from __future__ import annotations

import pytest

from purport.mail.address import Mailbox
from purport.reporting.destination import ByMail, ByPost, destinations, parse


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("mailto:reports@example.com", ByMail(Mailbox("reports", "example.com"))),
        ("MAILTO:reports@example.com!10m", ByMail(Mailbox("reports", "example.com"))),
        ("mailto:reports@example.com?subject=hello", ByMail(Mailbox("reports", "example.com"))),
        ("mailto:a%40b@example.com", None),
        ("mailto:%22a%40b%22@example.com", ByMail(Mailbox("a@b", "example.com"))),
        ("mailto:a@example.com%0d%0aBcc:b@example.com", None),
        ("mailto:a@[192.0.2.1]", None),
        ("mailto:a%2Cb@example.com", None),
        ("mailto:", None),
        ("mailto:caf\xe9@example.com", None),
        ("mailto:%ff@example.com", None),
        ("https://example.com", ByPost("example.com", 443, "/")),
        ("HTTPS://Example.COM:8443/a/b?c=d", ByPost("example.com", 8443, "/a/b?c=d")),
        ("https://example.com?c=d", ByPost("example.com", 443, "/?c=d")),
        ("https://example.com/a#b", ByPost("example.com", 443, "/a")),
        ("https://user@example.com/", None),
        ("https://example.com:0/", None),
        ("https://example.com:65536/", None),
        ("https://192.0.2.1/", None),
        ("https://[2001:db8::1]/", None),
        ("https://example.com/a b", None),
        ("http://example.com/", None),
        ("file:///etc/passwd", None),
        ("https://example.com/" + "a" * 1024, None),
    ],
)
def test_a_uri_is_a_destination_or_nothing(uri: str, expected: object) -> None:
    assert parse(uri) == expected


def test_each_destination_counts_once_and_no_more_than_five_do() -> None:
    many = [f"mailto:b{number}@x.example" for number in range(9)]
    found = destinations(",".join(["mailto:a@x.example", " mailto:a@x.example", *many]))
    assert [str(one) for one in found] == ["mailto:a@x.example", *many[:4]]
