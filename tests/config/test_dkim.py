"""Keys to sign with, from the settings and from OpenDKIM's tables."""

from __future__ import annotations

from pathlib import Path

import pytest

from purport.authentication.dkim.signer import Signer
from purport.config.dkim import load_signer
from purport.config.load import SettingsError, load
from purport.mail.address import Mailbox
from support.dkim_keys import ed25519_pem, rsa_pem

HEAD = 'hostname = "mx.company.com.example"\n[[listener]]\nbind = ["127.0.0.1:2525"]\n'
DKIM = '[[dkim]]\ndomain = "{}"\nselector = "{}"\nkey = "{}"\n'


def signer(folder: Path, settings: str, **files: str) -> Signer:
    (folder / "e.pem").write_bytes(ed25519_pem())
    (folder / "r.pem").write_bytes(rsa_pem(1024))
    for name, text in files.items():
        (folder / name).write_text(text)
    path = folder / "purport.toml"
    path.write_text(HEAD + settings)
    return load_signer(path, load(path))


def names(found: Signer, address: str) -> list[str]:
    local_part, _, domain = address.rpartition("@")
    keys = found.keys_for(Mailbox(local_part, domain))
    return [f"{key.selector}:{key.domain}{':' * bool(key.identity)}{key.identity}" for key in keys]


def test_without_keys_nothing_is_signed(tmp_path: Path) -> None:
    found = signer(tmp_path, "")
    assert not found
    assert names(found, "a@b.example") == []


def test_the_nearest_domain_signs_with_all_its_keys(tmp_path: Path) -> None:
    keys = DKIM.format("Example.COM", "r1", "r.pem") + DKIM.format("example.com", "e1", "e.pem")
    found = signer(tmp_path, keys + DKIM.format("eu.example.com", "x", "e.pem"))
    assert found
    assert names(found, "a@example.com") == ["r1:example.com", "e1:example.com"]
    assert names(found, "a@MX.example.com") == ["r1:example.com", "e1:example.com"]
    assert names(found, "a@mx.eu.example.com") == ["x:eu.example.com"]
    assert names(found, "a@badexample.com") == []
    assert names(found, "a@com") == []


def test_names_beyond_ascii(tmp_path: Path) -> None:
    found = signer(tmp_path, DKIM.format("bücher.example", "größe", "e.pem"))
    assert names(found, "a@bücher.example") == ["xn--gre-6ka8i:xn--bcher-kva.example"]


KEY_TABLE = """\
# the keys of two domains
one example.com:s1:e.pem     # a comment
two\tother.example:s2:r.pem
any %:s3:./e.pem
"""


@pytest.mark.parametrize(
    ("lines", "address", "expected"),
    [
        ("*@example.com one", "Alice@Example.com", ["s1:example.com"]),
        ("*@example.com one", "alice@mx.example.com", []),
        ("*@*.example.com one\n*@example.com one", "alice@mx.example.com", ["s1:example.com"]),
        ("alice@* one\n* two", "alice@example.org", ["s1:example.com"]),
        ("alice@* one\n* two", "bob@example.org", ["s2:other.example"]),
        ("*.@example.com one", "alice@example.com", []),  # a dot is a dot
        ("*@example.com one %", "alice@example.com", ["s1:example.com:@example.com"]),
        ("*@example.com one alice@mx.example.com", "a@example.com", ["s1:example.com:alice@mx.example.com"]),
        ("*@example.com one a@other.example", "a@example.com", ["s1:example.com"]),
        ("* any", "a@wherever.example", ["s3:wherever.example"]),
    ],
)
def test_a_signing_table_with_wildcards(tmp_path: Path, lines: str, address: str, expected: list[str]) -> None:
    tables = '[dkim_tables]\nkey_table = "refile:keys"\nsigning_table = "refile:signing"\n'
    assert names(signer(tmp_path, tables, keys=KEY_TABLE, signing=lines), address) == expected


@pytest.mark.parametrize(
    ("lines", "address", "expected"),
    [
        ("example.com two\nalice@example.com one", "alice@example.com", ["s1:example.com"]),
        ("example.com two\nalice@example.com one", "bob@example.com", ["s2:other.example"]),
        (".example.com one", "a@mx.eu.example.com", ["s1:example.com"]),
        (".example.com one", "a@example.com", []),
        ("a@.example.com one\n.eu.example.com two", "a@mx.eu.example.com", ["s1:example.com"]),
        ("* one\na@* two", "a@example.net", ["s2:other.example"]),
        ("* one", "a@example.net", ["s1:example.com"]),
        ("*@example.net one", "a@example.net", []),
    ],
)
def test_a_signing_table_without_wildcards(tmp_path: Path, lines: str, address: str, expected: list[str]) -> None:
    tables = '[dkim_tables]\nkey_table = "keys"\nsigning_table = "file:signing"\n'
    assert names(signer(tmp_path, tables, keys=KEY_TABLE, signing=lines), address) == expected


def test_all_lines_that_match_where_there_may_be_several(tmp_path: Path) -> None:
    tables = '[dkim_tables]\nkey_table = "keys"\nsigning_table = "signing"\nmultiple_signatures = true\n'
    keys = DKIM.format("example.com", "e9", "e.pem")
    found = signer(tmp_path, keys + tables, keys=KEY_TABLE, signing="*@example.com one\n*@* two\n*@example.com one\n")
    assert names(found, "a@example.com") == ["s1:example.com", "s2:other.example", "e9:example.com"]


@pytest.mark.parametrize(
    ("settings", "files", "told"),
    [
        (DKIM.format("example.com", "s1", "missing.pem"), {}, "purport.toml:7: dkim[0].key: "),
        (DKIM.format("example.com", "s1", "purport.toml"), {}, "it holds no private key in PEM"),
        (DKIM.format("a b", "s1", "e.pem"), {}, 'purport.toml:5: dkim[0].domain: "a b" is no name'),
        (DKIM.format("example.com", "s/1", "e.pem"), {}, 'purport.toml:6: dkim[0].selector: "s/1" is no name'),
        ('[dkim_tables]\nsigning_table = "signing"', {}, "signing: cannot be read"),
        ('[dkim_tables]\nsigning_table = "signing"', {"signing": "\n* one"}, 'signing:2: the KeyTable has no "one"'),
        ('[dkim_tables]\nsigning_table = "signing"', {"signing": "*"}, "signing:1: must be PATTERN NAME"),
        (
            '[dkim_tables]\nkey_table = "keys"\nsigning_table = "signing"',
            {"keys": "one example.com:e.pem", "signing": ""},
            "keys:1: must be NAME DOMAIN:SELECTOR:FILE",
        ),
        (
            '[dkim_tables]\nkey_table = "keys"\nsigning_table = "signing"',
            {"keys": "one example.com:s1:/keys/%.pem", "signing": ""},
            "keys:1: a % in the name of a file is not supported",
        ),
        (
            '[dkim_tables]\nkey_table = "keys"\nsigning_table = "signing"',
            {"keys": "one example.com:s1:missing.pem", "signing": ""},
            "keys:1: ",
        ),
    ],
)
def test_errors_name_file_and_line(tmp_path: Path, settings: str, files: dict[str, str], told: str) -> None:
    with pytest.raises(SettingsError) as raised:
        signer(tmp_path, settings, **files)
    assert told in str(raised.value)
