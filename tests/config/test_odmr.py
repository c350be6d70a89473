"""What is wrong with settings of on-demand mail relay, and where it stands."""

from __future__ import annotations

import pytest

from purport.config.load import SettingsError, read
from purport.config.odmr import provider_of

SMALL = 'hostname = "mx.example.com"\n[[listener]]\nbind = ["127.0.0.1:25"]\n'
DOMAIN = '[[domain]]\nname = "company.com.example"\ndeliver = "odmr"\n'
OURS = '[[domain]]\nname = "company.com.example"\n'
FETCH = '[[fetch]]\nhost = "odmr.example"\nuser = "u"\npassword_file = "p"\n'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (DOMAIN, "domain[0].deliver: nobody may come for its mail; name it in the domains of an [[odmr]] table"),
        (
            f'{OURS}[[odmr]]\nuser = "u"\ndomains = ["company.com.example"]\n',
            "odmr[0].domains[0]: mail for company.com.example does not wait here; add a [[domain]] with "
            'name = "company.com.example" and deliver = "odmr"',
        ),
        ('[[odmr]]\nuser = "u"\ndomains = ["a b"]\n', "odmr[0].domains[0]: 'a b' is no domain name"),
        ('[[odmr]]\nuser = "a\\u0007"\n', "odmr[0].user: cannot log in with that"),
        ("[[odmr]]\ndomains = []\n", 'odmr[0]: "user" is missing'),
        ('[relay]\ndefault = "odmr"\n', 'relay.default: "odmr" is none of'),
        (
            '[[listener]]\nservice = "odmr"\nbind = ["127.0.0.1:366"]\ndiscard_ehlo_keywords = ["atrn"]\n',
            "listener[1].discard_ehlo_keywords: on-demand mail relay cannot do without ATRN",
        ),
        (
            '[[listener]]\nservice = "odmr"\nbind = ["127.0.0.1:366"]\ndiscard_ehlo_keywords = ["AUTH"]\n',
            "listener[1].discard_ehlo_keywords: on-demand mail relay cannot do without AUTH",
        ),
        (FETCH.replace("odmr.example", "odmr.example:0"), "fetch[0].host: 'odmr.example:0' is not HOST:PORT"),
        (f'{FETCH}domains = ["elsewhere.example"]\n', "fetch[0].domains[0]: elsewhere.example is none of ours; add a"),
        (f'{FETCH}tls = "may"\n', 'fetch[0].tls: "may" is none of "encrypt", "none", "verify"'),
        (f"{FETCH}every = -1\n", "fetch[0].every: must be at least 0"),
    ],
)
def test_what_is_wrong_is_told(text: str, said: str) -> None:
    with pytest.raises(SettingsError) as caught:
        read(SMALL + text)
    assert said in str(caught.value)


def test_what_is_right() -> None:
    tables = '[[odmr]]\nuser = "u"\ndomains = ["Company.com.example"]\n'
    settings = read(f'{SMALL}{DOMAIN}{tables}{FETCH}domains = ["company.com.example"]\n')
    assert settings.odmr[0].seconds == 10.0
    assert (settings.fetch[0].every, settings.fetch[0].tls) == (900.0, "verify")


@pytest.mark.parametrize(
    ("host", "place"),
    [
        ("odmr.example", ("odmr.example", 366)),
        ("odmr.example:1366", ("odmr.example", 1366)),
        ("192.0.2.1", ("192.0.2.1", 366)),
        ("[2001:db8::1]", ("2001:db8::1", 366)),
        ("[2001:db8::1]:25", ("2001:db8::1", 25)),
    ],
)
def test_a_provider_is_a_host_and_its_usual_port(host: str, place: tuple[str, int]) -> None:
    assert provider_of(host) == place
