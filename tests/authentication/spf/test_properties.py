"""A remembered result is the interpreted one: for any records, any clients, in any order."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from purport.authentication.sender_id.record import BY_SCOPE
from purport.authentication.spf.check_host import check_host
from purport.authentication.spf.checker import Checker
from purport.authentication.spf.result import Scope, SpfResult
from purport.dns.lookup import Evaluation, Suspended, replay, start
from purport.dns.zone import StaticResolver, ZoneData

# Few names and few addresses, so that terms meet each other.
NAMES = ("a.example", "b.example", "c.example", "gone.example", "slow.example")
ADDRESSES = ("10.0.0.0", "10.0.0.1", "10.0.0.7", "10.0.1.0", "10.0.255.255", "11.0.0.0", "255.255.255.255")
ADDRESSES_6 = ("2001:db8::", "2001:db8::1", "2001:db8:0:1::", "2001:db9::", "::", "::ffff:10.0.0.1")

name = st.sampled_from(NAMES)
address = st.sampled_from(ADDRESSES)
address_6 = st.sampled_from(ADDRESSES_6)
spec = st.one_of(name, st.sampled_from(("%{i}.u.example", "%{l}.u.example", "%{o}", "%{h}", "%{d}", "%{p}.u.example")))
optional_spec = st.one_of(st.just(""), spec.map(":{}".format))
cidr = st.sampled_from(("", "/8", "/24", "/31", "//64", "/16//48"))

mechanism = st.one_of(
    st.builds("ip4:{}{}".format, address, st.sampled_from(("", "/0", "/8", "/16", "/29", "/31"))),
    st.builds("ip6:{}{}".format, address_6, st.sampled_from(("", "/0", "/32", "/64", "/127"))),
    st.builds("a{}{}".format, optional_spec, cidr),
    st.builds("mx{}{}".format, optional_spec, cidr),
    st.builds("include:{}".format, spec),
    st.builds("exists:{}".format, spec),
    st.builds("ptr{}".format, optional_spec),
)
term = st.builds("{}{}".format, st.sampled_from(("", "+", "-", "~", "?")), mechanism)
tail = st.one_of(
    st.sampled_from(("", "-all", "~all", "?all", "moo", "-all exp=%{l}.why.example", "-all exp=why.example")),
    st.builds("redirect={}".format, spec),
)
version = st.sampled_from(("v=spf1", "v=spf1", "v=spf1", "spf2.0/pra", "spf2.0/mfrom,pra"))
policy = st.builds(lambda start, terms, end: " ".join([start, *terms, end]), version, st.lists(term, max_size=6), tail)

rows = st.lists(
    st.one_of(
        st.builds(lambda value: {"A": value}, address),
        st.builds(lambda value: {"AAAA": value}, address_6),
        st.builds(lambda value: {"MX": [10, value]}, name),
    ),
    max_size=4,
)
zones = st.builds(
    lambda policies, records: {
        **{domain: [{"TXT": text}, *more] for domain, text, more in zip(NAMES[:3], policies, records, strict=True)},
        "slow.example": ["TIMEOUT"],
        "why.example": [{"TXT": "because"}],
        "alice.why.example": [{"TXT": "because of %{i}"}],
        "alice.u.example": [{"A": "127.0.0.2"}],
        "10.0.0.1.u.example": [{"A": "127.0.0.2"}],
        "1.0.0.10.in-addr.arpa": [{"PTR": "a.example"}, {"PTR": "b.example"}],
        "a.example.u.example": [{"A": "127.0.0.2"}],
    },
    st.lists(policy, min_size=3, max_size=3),
    st.lists(rows, min_size=3, max_size=3),
)
clients = st.one_of(
    address,
    address_6,
    st.integers(0, 9).map("10.0.0.{}".format),
)
scopes: st.SearchStrategy[Scope] = st.sampled_from(("mfrom", "pra"))
senders = st.builds("{}@{}".format, st.sampled_from(("alice", "bob", "jürgen")), st.sampled_from(NAMES[:3]))
checks = st.lists(st.tuples(scopes, clients, senders), min_size=2, max_size=14)


@settings(deadline=None, max_examples=120)
@given(zones, checks)
def test_what_is_remembered_is_what_would_be_found(zone: ZoneData, wanted: list[tuple[Scope, str, str]]) -> None:
    resolver = StaticResolver(zone)
    checker = Checker("mx.example")
    for scope, client, sender in [*wanted, *wanted]:
        arguments = (client, sender.rpartition("@")[2], sender, "b.example")
        expected = at_once(start(interpreted(scope, *arguments), resolver))
        result = at_once(start(checker.check(scope, *arguments, 0.0), resolver))
        assert result == expected
        assert result.trace == expected.trace
        assert result.evidence is not None
        assert replay(interpreted(scope, *arguments), dict(result.evidence.answers)) == expected


def interpreted(scope: Scope, client: str, domain: str, sender: str, hello_domain: str) -> Evaluation[SpfResult]:
    return check_host(client, domain, sender, hello_domain, receiver="mx.example", scope=scope, rules=BY_SCOPE[scope])


def at_once(result: SpfResult | Suspended[SpfResult]) -> SpfResult:
    assert not isinstance(result, Suspended)
    return result
