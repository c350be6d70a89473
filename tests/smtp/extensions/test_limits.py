"""LIMITS (RFC 9422)."""

from __future__ import annotations

import pytest

from purport.smtp.extensions import ALL
from purport.smtp.extensions.limits import MOST, NO_LIMITS, Limits, read
from purport.smtp.server import Profile
from support.smtp_shell import Shell


@pytest.mark.parametrize(
    ("offer", "limits"),
    [
        (None, NO_LIMITS),
        ("", NO_LIMITS),
        ("RCPTMAX=20 MAILMAX=5", Limits(5, 20)),
        ("rcptmax=20  RcptDomainMax=1", Limits(MOST, 20, 1)),
        ("RCPTMAX=0 MAILMAX=5", Limits(5)),
        ("RCPTMAX=1000000", NO_LIMITS),
        ("RCPTMAX=02", NO_LIMITS),
        ("RCPTMAX MAILMAX=5", Limits(5)),
        ("XRCPTMAX=7 OTHER=a:b MAILMAX=5", Limits(5)),
        ("MAILMAX=5 =3", NO_LIMITS),
        ("MAILMAX=5 OTHER=a;b", NO_LIMITS),
    ],
)
def test_what_is_no_limit_means_nothing(offer: str | None, limits: Limits) -> None:
    """RFC 9422 section 3.7."""
    assert read(offer) == limits


@pytest.mark.parametrize(("recipients", "said"), [(100, "RCPTMAX=100"), (10_000_000, "RCPTMAX=999999")])
def test_our_limit_is_the_one_in_force(recipients: int, said: str) -> None:
    server = Shell(Profile("mx.company.com.example", extensions=ALL, recipients=recipients))
    assert f"250-LIMITS {said}" in server.hear(b"EHLO client.example\r\n")[-1]
