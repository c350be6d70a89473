"""The DNS Tree Walk beside a second reading of RFC 9989 section 4.10: one question after the other, as written."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

from hypothesis import example, given
from hypothesis import strategies as st

from purport.authentication.dmarc.tree_walk import PREFIX, Walk, Walks, targets
from purport.dns.lookup import Question, Suspended, start
from purport.dns.zone import StaticResolver

Zone = Mapping[str, str]  # the psd tag of the record at each domain that has one


def walked(domain: str, zone: Zone) -> Walk:
    data = {PREFIX + name: [{"TXT": f"v=DMARC1; p=none; psd={psd}"}] for name, psd in zone.items()}
    found = start(Walks().walk([domain]), StaticResolver(data))
    assert not isinstance(found, Suspended)
    return found[0]


def retrieved(domain: str, zone: Zone) -> list[str]:
    """Section 4.10, steps 1 to 7: the domains of the records that a walk retrieves."""
    found = []
    # 1. and 2. The starting point.
    if domain in zone:
        found.append(domain)
        if zone[domain] in ("y", "n"):
            return found
    # 3. and 4.
    labels = domain.split(".")
    labels = labels[1:] if len(labels) < 8 else labels[len(labels) - 7 :]
    # 5. to 7.
    while labels:
        target = ".".join(labels)
        if target in zone:
            found.append(target)
            if zone[target] in ("y", "n"):
                return found
        labels = labels[1:]
    return found


def organizational_domain(domain: str, zone: Zone) -> str:
    """Section 4.10.2."""
    found = retrieved(domain, zone)
    for name in found:  # from the longest to the shortest
        if zone[name] == "n":
            return name
        if zone[name] == "y" and name != domain:
            below = domain[: -len(name) - 1].split(".")[-1]
            return f"{below}.{name}"
    return min(found, key=lambda name: name.count("."), default=domain)


def policy_domain(domain: str, zone: Zone) -> str | None:
    """Section 4.10.1: the Author Domain, its Organizational Domain, its Public Suffix Domain. Of a domain with nine
    labels or more, the one with eight may be its Organizational Domain, but the walk does not ask there."""
    if domain in zone:
        return domain
    organization = organizational_domain(domain, zone)
    if organization in retrieved(domain, zone):
        return organization
    return next((name for name in retrieved(domain, zone) if zone[name] == "y"), None)


DOMAINS = st.lists(st.sampled_from(["a", "b"]), min_size=1, max_size=12).map(".".join)


@st.composite
def domain_and_zone(draw: st.DrawFn) -> tuple[str, Zone]:
    """A domain, and records at some of the names above and beside it."""
    domain = draw(DOMAINS)
    labels = domain.split(".")
    above = st.integers(1, len(labels)).map(lambda count: ".".join(labels[-count:]))
    return domain, draw(st.dictionaries(above | DOMAINS, st.sampled_from("uuny"), max_size=5))


@given(domain_and_zone())
@example(("a.b.c", {"c": "y"}))
@example(("c", {"c": "y"}))
@example(("a.b.c.d.e.f.g.h.i", {"c.d.e.f.g.h.i": "y"}))
@example(("a.b.c.d.e.f.g.h.i", {"c.d.e.f.g.h.i": "y", "b.c.d.e.f.g.h.i": "u"}))
def test_both_readings_agree(given: tuple[str, Zone]) -> None:
    domain, zone = given
    walk = walked(domain, zone)
    assert [step.domain for step in walk.steps if step.record is not None] == retrieved(domain, zone)
    assert walk.organizational_domain == organizational_domain(domain, zone)
    assert (None if walk.policy is None else walk.policy.domain) == policy_domain(domain, zone)


@given(DOMAINS)
def test_a_walk_begins_at_its_domain_ends_at_the_top_and_goes_up(domain: str) -> None:
    names = targets(domain)
    assert names[0] == domain
    assert names[-1] == domain.rpartition(".")[2]
    assert len(names) <= 8
    for name, above in pairwise(names):
        assert name.endswith(f".{above}")


def test_a_name_that_leaves_no_room_for_the_prefix_has_no_record_and_is_not_asked_about() -> None:
    domain = ".".join(["a" * 62] * 4)  # 251 characters
    walks = Walks()
    found = start(walks.walk([domain]), StaticResolver({}))
    assert not isinstance(found, Suspended)
    assert found[0].own.found == "none"
    assert Question(PREFIX + domain, "TXT") not in walks.answers
    assert max(len(question.name) for question in walks.answers) <= 253


def test_what_one_walk_asked_another_does_not_ask_again() -> None:
    walks = Walks()
    zone = StaticResolver({})
    start(walks.walk(["a.example.com"]), zone)
    assert [question.name for question in next(walks.walk(["b.example.com", "a.example.com"]))] == [
        "_dmarc.b.example.com"
    ]
