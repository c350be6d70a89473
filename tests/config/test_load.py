"""Settings files, good ones and all the ways in which one can be wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from purport.config.check import parse_bind
from purport.config.load import SettingsError, find_settings, load, read, state_folder
from purport.parts import make_policy

SMALL = 'hostname = "mx.example.com"\n[[listener]]\nbind = ["127.0.0.1:25"]\n'

# The settings of the contract, without the keys of services that are not built.
CONTRACT = """\
hostname = "mx.company.com.example"
state_dir = "state"
workers = 1

[dns]
servers = ["127.0.0.1:5353"]

[[domain]]
name = "company.com.example"
mailboxes = ["bob", "postmaster"]
deliver = "maildir"

[[listener]]
service = "mx"
bind = ["127.0.0.1:2525"]
xclient = ["127.0.0.0/8"]

[submitter]
offer = true
check_pra = "when-submitted"
reject_at = "mail"

[spf]
on_fail = "tag"

[relay]
default = "mx"
networks = ["127.0.0.0/8"]
"""


def wrong(text: str) -> str:
    with pytest.raises(SettingsError) as caught:
        read(text)
    return str(caught.value)


def test_the_settings_that_users_rely_on_are_read() -> None:
    found = read(CONTRACT)
    assert found.hostname == "mx.company.com.example"
    assert found.domain[0].mailboxes == ["bob", "postmaster"]
    assert found.listener[0].xclient == ["127.0.0.0/8"]
    assert found.submitter.check_pra == "when-submitted"
    assert found.relay.networks == ["127.0.0.0/8"]


def test_a_small_file_is_enough() -> None:
    found = read(SMALL)
    assert (found.state_dir, found.submitter.offer, found.spf.on_fail) == ("state", True, "tag")


def test_a_file_with_the_line_ends_of_windows_is_read() -> None:
    assert read(SMALL.replace("\n", "\r\n")) == read(SMALL)


def test_settings_do_not_change_once_they_are_read() -> None:
    with pytest.raises(AttributeError):
        read(SMALL).hostname = "other.example.com"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        # Keys
        (f"{SMALL}servce = 'mx'", 'purport.toml:4: listener[0].servce: unknown setting; did you mean "service"?'),
        (f"hostnam = 1\n{SMALL}", 'purport.toml:1: hostnam: unknown setting; did you mean "hostname"?'),
        (f"{SMALL}[submiter]\n", 'purport.toml:4: submiter: unknown setting; did you mean "submitter"?'),
        (
            f"{SMALL}[submitter]\nreceived_spf=true\n",
            "purport.toml:5: submitter.received_spf: unknown setting; it belongs to [spf]",
        ),
        (
            f"{SMALL}[dns]\nstate_dir = 's'\n",
            "purport.toml:5: dns.state_dir: unknown setting; "
            "it belongs to the top of the file, before the first [table]",
        ),
        (f"check_helo = true\n{SMALL}", "purport.toml:1: check_helo: unknown setting; it belongs to [spf]"),
        (f'{SMALL}"a\\u001b.b" = 1\n', "purport.toml:4: listener[0].'a\\x1b.b': unknown setting"),
        (f"{SMALL}milters = false", "purport.toml:4: listener[0].milters: unknown setting"),
        ('hostname = "mx.example.com"\n', 'purport.toml: "listener" is missing'),
        ('hostname = "mx.example.com"\n\n[[listener]]\n', 'purport.toml:3: listener[0]: "bind" is missing'),
        # Types, words and limits
        (
            f"{SMALL}service = 'mxx'",
            'purport.toml:4: listener[0].service: "mxx" is none of "lmtp", "mx", "odmr", "submission"; '
            'did you mean "mx"?',
        ),
        (
            f"{SMALL}[submitter]\n\ncheck_pra = 'allways'\n",
            'purport.toml:6: submitter.check_pra: "allways" is none of "always", "never", "when-submitted"; '
            'did you mean "always"?',
        ),
        (f"{SMALL}[spf]\non_fail = true", "purport.toml:5: spf.on_fail: must be a text in quotes, not true or false"),
        (
            f"{SMALL}[limits]\nerrors = 'ten'",
            "purport.toml:5: limits.errors: must be a whole number, not a text in quotes",
        ),
        (f"{SMALL}[limits]\nerrors = 0", "purport.toml:5: limits.errors: must be at least 1"),
        (f"{SMALL}[dns]\ntimeout = 0", "purport.toml:5: dns.timeout: must be more than 0"),
        (f"{SMALL}[dns]\ntimeout = inf", "purport.toml:5: dns.timeout: must be at most 31536000"),
        (f"{SMALL}[dns]\ntimeout = nan", "purport.toml:5: dns.timeout: must be more than 0"),
        (f"hostname = 7\n{SMALL[27:]}", "purport.toml:1: hostname: must be a text in quotes, not a whole number"),
        (SMALL.replace('"127.0.0.1:25"', ""), "purport.toml:3: listener[0].bind: must not be empty"),
        (
            SMALL.replace('"127.0.0.1:25"', '\n"127.0.0.1:25",\n5'),
            "purport.toml:5: listener[0].bind[1]: must be a text in quotes, not a whole number",
        ),
        ('hostname = "mx.example.com"\nlistener = []\n', "purport.toml:2: listener: must not be empty"),
        (f"state_dir = ''\n{SMALL}", "purport.toml:1: state_dir: must not be empty"),
        # What types cannot say
        (
            SMALL.replace("mx.example.com", "mx"),
            'purport.toml:1: hostname: "mx" is no full host name; such as "mx.example.com"',
        ),
        (f"workers = 4\n{SMALL}", "purport.toml:1: workers: must be 1: this release serves with one process"),
        (
            SMALL.replace("127.0.0.1:25", "*:25"),
            'purport.toml:3: listener[0].bind[0]: "*:25" is not HOST:PORT; such as "[::]:25"',
        ),
        (
            f'{SMALL}[[listener]]\nbind = ["[::1]:25",\n"127.0.0.1:25"]',
            'purport.toml:6: listener[1].bind[1]: "127.0.0.1:25" is taken by listener[0]',
        ),
        (
            f'{SMALL}xclient = ["localhost"]',
            'purport.toml:4: listener[0].xclient[0]: "localhost" is no network; '
            'such as "192.0.2.0/24" or "2001:db8::/32"',
        ),
        (
            f'{SMALL}[dns]\nservers = ["::1", "ns.example.com"]',
            'purport.toml:5: dns.servers[1]: "ns.example.com" is no address; '
            'such as "192.0.2.1", "127.0.0.1:5353" or "[::1]:5353"',
        ),
        (f'{SMALL}[[domain]]\nname = "a b"', 'purport.toml:5: domain[0].name: "a b" is no domain name'),
        (
            f'{SMALL}[[domain]]\nname = "bücher.example"\n[[domain]]\nname = "XN--BCHER-KVA.example"',
            'purport.toml:7: domain[1].name: "XN--BCHER-KVA.example" is domain[0] already',
        ),
        (
            f'{SMALL}[[domain]]\nname = "a.example"\nmailboxes = ["bob@a.example"]',
            'purport.toml:6: domain[0].mailboxes[0]: "bob@a.example" is no local part; write "bob"',
        ),
        (
            f'{SMALL}[[domain]]\nname = "a.example"\ndeliver = "maildr"',
            'purport.toml:6: domain[0].deliver: "maildr" is none of '
            '"maildir", "odmr", '
            '"smtp:HOST:PORT", "smtps:HOST:PORT", "lmtp:HOST:PORT", "lmtp:unix:PATH", "mx"',
        ),
        (
            f'{SMALL}[relay]\ndefault = "maildir"',
            'purport.toml:5: relay.default: "maildir" is none of '
            '"smtp:HOST:PORT", "smtps:HOST:PORT", "lmtp:HOST:PORT", "lmtp:unix:PATH", "mx"',
        ),
        (
            f'{SMALL}[relay]\ndefault = "smtp:HOST:PORT"',
            'purport.toml:5: relay.default: "smtp:HOST:PORT" is none of '
            '"smtp:HOST:PORT", "smtps:HOST:PORT", "lmtp:HOST:PORT", "lmtp:unix:PATH", "mx"',
        ),
        (
            f'{SMALL}[authentication_results]\nid = "mx example"',
            'purport.toml:5: authentication_results.id: "mx example" is no name; such as "mx.example.com"',
        ),
        (
            f'{SMALL}[authentication_results]\naliases = ["old.example.com", ""]',
            'purport.toml:5: authentication_results.aliases[1]: "" is no name; such as "mx.example.com"',
        ),
        (f"{SMALL}[queue]\nmax_backoff = 1", "purport.toml:5: queue.max_backoff: is less than min_backoff"),
        # TOML
        ("hostname = \n", "purport.toml:1: this is not TOML: Invalid value"),
        ('hostname = "a\n', "purport.toml:1: this is not TOML: Illegal character '\\n'"),
        ("a = 1\na = 2\n", "purport.toml:2: this is not TOML: Cannot overwrite a value"),
        ("a = [1,\n2\n\n", "purport.toml:2: this is not TOML: Unclosed array"),
        ("a = " + "[" * 100_000, "purport.toml: this is not TOML: lists or tables too deep inside each other"),
    ],
)
def test_an_error_names_line_key_and_what_may_have_been_meant(text: str, said: str) -> None:
    assert wrong(text) == said


@pytest.mark.parametrize("route", ["maildir", "mx", "smtp:mail.example.com:25", "smtp:127.0.0.1:2526", "smtp:[::1]:25"])
def test_routes_that_are_accepted(route: str) -> None:
    assert read(f'{SMALL}[[domain]]\nname = "a.example"\ndeliver = "{route}"').domain[0].deliver == route


@pytest.mark.parametrize(
    "route", ["smtp:", "smtp:host", "smtp:host:0", "smtp:host:65536", "smtp:300.1.1.1:25", "smtp:[x]:25", "MX", ""]
)
def test_routes_that_are_refused(route: str) -> None:
    assert "deliver" in wrong(f'{SMALL}[[domain]]\nname = "a.example"\ndeliver = "{route}"')


@pytest.mark.parametrize(
    ("text", "found"),
    [("127.0.0.1:25", ("127.0.0.1", 25)), ("[::1]:2525", ("::1", 2525)), ("localhost:25", ("localhost", 25))],
)
def test_addresses_to_listen_on(text: str, found: tuple[str, int]) -> None:
    assert parse_bind(text) == found


@pytest.mark.parametrize(
    "text", ["25", ":25", "::1:25", "[::g]:25", "a b:25", "127.0.0.1:", "127.0.0.1:0", "127.0.0.256:25", "h:٣", ""]
)
def test_texts_that_are_no_addresses_to_listen_on(text: str) -> None:
    with pytest.raises(ValueError):
        parse_bind(text)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        load(tmp_path / "none.toml")
    assert str(caught.value) == f"{tmp_path}/none.toml: cannot be read: No such file or directory"


def test_a_file_that_is_not_utf_8_is_named_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "purport.toml").write_bytes(b'# fine\nhostname = "\xff"\n')
    with pytest.raises(SettingsError) as caught:
        load(tmp_path / "purport.toml")
    assert str(caught.value) == f"{tmp_path}/purport.toml:2: cannot be read: it is not UTF-8"


def test_a_state_folder_too_deep_for_its_control_socket_is_refused(tmp_path: Path) -> None:
    (tmp_path / "purport.toml").write_text(f'state_dir = "{"d" * 120}"\n{SMALL}')
    with pytest.raises(SettingsError) as caught:
        load(tmp_path / "purport.toml")
    assert (caught.value.line, caught.value.key) == (1, "state_dir")


def test_a_settings_error_can_be_raised_from_another_and_keeps_its_parts() -> None:
    with pytest.raises(SettingsError) as caught:
        read("hostname = \n", "other.toml")
    error = caught.value
    assert (error.file, error.line, error.key) == ("other.toml", 1, "")
    assert isinstance(error.__cause__, ValueError)


def test_the_settings_file_is_looked_for_where_it_should_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PURPORT_CONFIG", raising=False)
    monkeypatch.setattr("purport.config.load.PLACES", (Path("purport.toml"), tmp_path / "etc" / "purport.toml"))
    with pytest.raises(SettingsError, match="name one with --config"):
        find_settings()
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "purport.toml").touch()
    assert find_settings() == tmp_path / "etc" / "purport.toml"
    (tmp_path / "purport.toml").touch()
    assert find_settings() == Path("purport.toml")
    monkeypatch.setenv("PURPORT_CONFIG", "elsewhere.toml")
    assert find_settings() == Path("elsewhere.toml")
    assert find_settings("named.toml") == Path("named.toml")


@settings(deadline=None, max_examples=200)
@given(
    text=st.one_of(
        st.text(max_size=60),
        st.builds(
            lambda head, key, value, tail: f"{head}{key} = {value}\n{tail}",
            st.sampled_from(["", SMALL, CONTRACT, "[[domain]]\n", "[listener]\n", "[dns.x]\n"]),
            st.sampled_from(["hostname", "bind", "name", "deliver", "x.y", '"a`b"', "'$'", "limits"]),
            st.sampled_from(["1", "[]", "[[1]]", "{}", '"\\u001b[2J"', "{ a = [ { b = 1 } ] }", "1979-05-27", '"`"']),
            st.sampled_from(["", SMALL, "[relay]\n", "x = 1 # y"]),
        ),
    )
)
def test_whatever_stands_in_the_file_the_error_is_one_printable_line(text: str) -> None:
    try:
        read(text)
    except SettingsError as error:
        assert str(error).isprintable(), str(error)
        assert 0 <= error.line <= text.count("\n") + 1


def test_the_state_folder_is_found_beside_the_file_without_detours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    said = read(f'state_dir = "../{"x/../" * 40}state"\n{SMALL}')
    assert state_folder(Path("etc/purport.toml"), said) == tmp_path / "state"
    assert state_folder(Path("etc/purport.toml"), read(f'state_dir = "/var/lib"\n{SMALL}')) == Path("/var/lib")


def test_a_mailbox_may_be_written_as_in_an_address() -> None:
    settings = read(
        'hostname = "mx.a.example"\n[[listener]]\nbind = ["127.0.0.1:25"]\n'
        '[[domain]]\nname = "a.example"\nmailboxes = [\'"bob"\', \'"a b"\', "carol"]\n'
    )
    assert make_policy(settings).relaying.domains["a.example"] == {"bob", "a b", "carol"}


def test_moments_have_a_zone_and_stand_by_local_parts() -> None:
    domain = '[[domain]]\nname = "a.example"\n'
    found = read(f'{SMALL}\n{domain}since = {{ bob = 2024-01-01T00:00:00Z, "*" = 2020-01-01T01:00:00+01:00 }}\n')
    assert found.domain[0].since["bob"].timestamp() == 1_704_067_200
    for wrong, said in [
        ("since = { bob = 2024-01-01T00:00:00 }", "must have a time zone"),
        ("since = { bob = 2024-01-01 }", "must be a date and time such as 2024-01-01T00:00:00Z, not a date"),
        ('since = { "b b" = 2024-01-01T00:00:00Z }', "is no local part"),
    ]:
        with pytest.raises(SettingsError, match=said):
            read(f"{SMALL}\n{domain}{wrong}\n")
    with pytest.raises(SettingsError, match=r"relay.rrvs_field\[0\]: \"a b\" is no domain name"):
        read(f'{SMALL}\n[relay]\nrrvs_field = ["a b"]\n')
