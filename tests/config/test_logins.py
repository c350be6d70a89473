"""What is wrong with users, tokens and logins of ours is told by line and key, and quotes no password."""

from __future__ import annotations

import pytest

from purport.config.load import SettingsError, read

SMALL = 'hostname = "mx.example.com"\n[[listener]]\nbind = ["127.0.0.1:25"]\n'
KEYS = "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$" + "A" * 43 + "=:" + "A" * 43 + "="


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ('[[user]]\nname = ""', "user[0].name: must not be empty"),
        ('[[user]]\nname = "a\\u0007"', "user[0].name: cannot be a name"),
        ('[[user]]\nname = "a"\n[[user]]\nname = "a"', "user[1].name: 'a' stands there twice"),
        ('[[user]]\nname = "a"\npassword = ""', "user[0].password: cannot be a password"),
        ('[[user]]\nname = "a"\npassword = "hunter2\\u0007"', "user[0].password: cannot be a password"),
        ('[[user]]\nname = "a"\npassword = "hunter2"\nscram = "x"', "user[0].password: either a password or its hash"),
        ('[[user]]\nname = "a"\npassword_hash = "hunter2"', "user[0].password_hash: is no argon2 hash"),
        ('[[user]]\nname = "a"\nscram = "hunter2"', "user[0].scram: are no SCRAM keys"),
        ('[[user]]\nname = "a"\naddresses = ["b"]', "user[0].addresses[0]: 'b' is no address"),
        ('[[user]]\nname = "a"\naddresses = ["@b c"]', "user[0].addresses[0]: '@b c' is no address"),
        ('service = "submission"\ndiscard_ehlo_keywords = ["AUTH"]', "a submission cannot do without AUTH"),
        ('[auth]\nmechanisms = ["DIGEST-MD5"]', "auth.mechanisms[0]: 'DIGEST-MD5' is none of ours; one of SCRAM"),
        ("[auth]\nmax_delay = 0.5", "auth.max_delay: is less than delay"),
        ('[oauth]\njwks = "a"\nintrospection = "https://b.example"', "oauth.introspection: either jwks or"),
        ('[oauth]\njwks = "http://a.example/keys"', "oauth.jwks: 'http://a.example/keys' is no https address"),
        ('[oauth]\nintrospection = "b.example"', "oauth.introspection: 'b.example' is no https address"),
        ('[oauth]\nclient_secret = "hunter2"\nclient_secret_file = "b"', "oauth.client_secret_file: either"),
        ('[relay]\nuser = "a"\npassword = "hunter2"', "relay.user: there is a login for one host only"),
        ('[relay]\ndefault = "smtp:a.example:25"\nuser = "a"', "relay.user: needs either password or password_file"),
        (
            '[relay]\ndefault = "smtp:a.example:25"\nuser = "a"\npassword = "hunter2"\npassword_file = "b"',
            "relay.user: needs either password or password_file",
        ),
        ('[[credentials]]\nnext_hop = "mx"\nuser = "a"\npassword = "hunter2"', "credentials[0].next_hop: 'mx' is no"),
        (
            '[relay]\ndefault = "smtp:a.example:25"\nuser = "a"\npassword = "hunter2"\n'
            '[[credentials]]\nnext_hop = "smtp:a.example:25"\nuser = "a"\npassword = "hunter2"',
            "credentials[0].next_hop: 'smtp:a.example:25' has a login already",
        ),
        (
            '[[credentials]]\nnext_hop = "smtp:a.example:25"\nuser = "a\\u0007"\npassword = "b"',
            "cannot log in with that",
        ),
    ],
)
def test_what_is_wrong_is_told(more: str, said: str) -> None:
    with pytest.raises(SettingsError) as error:
        read(f"{SMALL}{more}\n")
    assert said in str(error.value)
    assert "hunter2" not in str(error.value)


@pytest.mark.parametrize(
    "more",
    [
        f'[[user]]\nname = "zoë"\nscram = "{KEYS}"\naddresses = ["a@b.example", "@b.example"]',
        '[oauth]\njwks = "keys.json"',
        '[oauth]\njwks = "https://a.example/keys"',
        '[oauth]\nintrospection = "http://127.0.0.1:8080/introspect"',
        '[[credentials]]\nnext_hop = "smtp:[2001:db8::1]:587"\nuser = "a"\npassword = "b"',
    ],
)
def test_what_is_right_is_taken(more: str) -> None:
    read(f"{SMALL}{more}\n")


def test_settings_show_no_secret() -> None:
    settings = read(
        f'{SMALL}[[user]]\nname = "a"\npassword = "hunter2"\n[relay]\ndefault = "smtp:a.example:25"\nuser = "a"\n'
        'password = "hunter2"\n[oauth]\nclient_secret = "hunter2"\n'
    )
    assert "hunter2" not in repr(settings)
    assert "mx.example.com" in repr(settings)
