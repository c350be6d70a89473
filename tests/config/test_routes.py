"""Routes as the settings have them."""

from __future__ import annotations

import pytest

from purport.config.load import SettingsError, read

SETTINGS = """
hostname = "mx.example.com"
[[listener]]
bind = ["127.0.0.1:2525"]
[[domain]]
name = "example.com"
deliver = "{}"
"""


@pytest.mark.parametrize(
    "route",
    [
        "maildir",
        "mx",
        "smtp:relay.example:25",
        "smtp:[::1]:25",
        "smtp:192.0.2.1:65535",
        "smtps:relay.example:465",
        "lmtp:unix:/run/lmtp",
    ],
)
def test_good_routes(route: str) -> None:
    assert read(SETTINGS.format(route)).domain[0].deliver == route


@pytest.mark.parametrize(
    "route",
    [
        "",
        "smtp:relay.example",
        "smtp::25",
        "smtp:a:0",
        "smtp:a:65536",
        "smtp:::1:25",
        "lmtp:unix:",
        "lmtp:unix:run/lmtp",
    ],
)
def test_routes_that_lead_nowhere_are_errors(route: str) -> None:
    with pytest.raises(SettingsError, match="is none of"):
        read(SETTINGS.format(route))
