"""DMARC evaluation: the tree walk, alignment, the policy that applies, and what an attacker may choose."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from purport.authentication.dmarc.evaluate import evaluate
from purport.authentication.dmarc.result import Authenticated, DmarcResult, spf_identity
from purport.authentication.dmarc.tree_walk import targets
from purport.authentication.spf.checker import Checker
from purport.authentication.spf.result import SpfResult
from purport.dns.lookup import Question, Suspended, start
from purport.dns.zone import StaticResolver, ZoneData
from purport.mail.address import NULL, Mailbox, ReversePath
from purport.mail.header import read_header
from purport.policy.facts import Client
from purport.policy.gather import mail_facts

REJECT = [{"TXT": "v=DMARC1; p=reject"}]
# The names of RFC 9989 appendix B.4, and those of the examples in section 4.10.2.
BANK: ZoneData = {
    "_dmarc.bank.example": [{"TXT": "v=DMARC1; p=reject; sp=quarantine; np=reject; psd=y"}],
    "_dmarc.giant.bank.example": [{"TXT": "v=DMARC1; p=quarantine"}],
    "mega.bank.example": [{"A": "192.0.2.1"}],
}


def evaluated(
    author: str | bytes,
    zone: ZoneData,
    *,
    spf: str | Authenticated | None = None,
    dkim: Sequence[str | Authenticated] = (),
) -> DmarcResult:
    """The result for a From field or a whole header; a domain alone stands for an identifier that passed."""
    header = author if isinstance(author, bytes) else f"From: {author if '@' in author else 'a@' + author}\r\n".encode()
    identity = Authenticated(spf, "pass") if isinstance(spf, str) else spf
    signed = [one if isinstance(one, Authenticated) else Authenticated(one, "pass", "sel") for one in dkim]
    result = start(evaluate(read_header(header), identity, signed), StaticResolver(zone))
    assert isinstance(result, DmarcResult)
    return result


def asked(result: DmarcResult) -> list[Question]:
    assert result.evidence is not None
    return [question for question, _ in result.evidence.answers]


def told(result: DmarcResult) -> tuple[str, str | None, str | None, str]:
    return result.result, result.policy_domain, result.tag, result.disposition


def test_s22_a_name_of_many_labels_costs_eight_questions() -> None:
    """The example of RFC 9989 section 4.10."""
    name = "a.b.c.d.e.f.g.h.i.j.mail.example.com"
    assert targets(name) == (
        name,
        "g.h.i.j.mail.example.com",
        "h.i.j.mail.example.com",
        "i.j.mail.example.com",
        "j.mail.example.com",
        "mail.example.com",
        "example.com",
        "com",
    )
    assert len(asked(evaluated(name, {}))) == 8


@pytest.mark.parametrize("labels", range(1, 30))
def test_no_walk_has_more_than_eight_steps(labels: int) -> None:
    names = targets(".".join(f"l{number}" for number in range(labels)))
    assert len(names) == min(labels, 8)
    assert len(names[-1].split(".")) == 1


def test_the_questions_of_a_walk_are_asked_together() -> None:
    evaluation = evaluate(read_header(b"From: a@a.mail.example.com\r\n"), None, ())
    assert [question.name for question in next(evaluation)] == [
        "_dmarc.a.mail.example.com",
        "_dmarc.mail.example.com",
        "_dmarc.example.com",
        "_dmarc.com",
    ]


def test_the_own_record_applies_with_its_p() -> None:
    zone = {"_dmarc.mail.example.com": REJECT, "_dmarc.example.com": [{"TXT": "v=DMARC1; p=none; sp=none"}]}
    result = evaluated("mail.example.com", zone)
    assert told(result) == ("fail", "mail.example.com", "p", "reject")
    assert result.organizational_domain == "example.com"


def test_without_an_own_record_that_of_the_organization_applies_not_one_between() -> None:
    zone = {"_dmarc.mail.example.com": REJECT, "_dmarc.example.com": [{"TXT": "v=DMARC1; p=none; sp=quarantine"}]}
    assert told(evaluated("a.mail.example.com", zone)) == ("fail", "example.com", "sp", "quarantine")


@pytest.mark.parametrize(
    ("record", "exists", "tag", "disposition"),
    [
        ("p=none; sp=quarantine; np=reject", False, "np", "reject"),
        ("p=none; sp=quarantine; np=reject", True, "sp", "quarantine"),
        ("p=none; sp=quarantine", False, "sp", "quarantine"),
        ("p=reject", False, "p", "reject"),
        ("p=none; np=reject", True, "p", "none"),
        ("p=none; np=reject", False, "np", "reject"),
    ],
)
def test_s22_np_is_for_names_that_do_not_exist(record: str, exists: bool, tag: str, disposition: str) -> None:
    zone: dict[str, Sequence[dict[str, str]]] = {"_dmarc.example.com": [{"TXT": f"v=DMARC1; {record}"}]}
    if exists:
        zone["sub.example.com"] = [{"TXT": "here"}]
    assert told(evaluated("sub.example.com", zone)) == ("fail", "example.com", tag, disposition)


def test_a_name_below_shows_that_a_domain_exists() -> None:
    zone = {
        "_dmarc.example.com": [{"TXT": "v=DMARC1; p=none; np=reject"}],
        "_dmarc.sub.example.com": [{"TXT": "something else"}],
    }
    result = evaluated("sub.example.com", zone)
    assert told(result) == ("fail", "example.com", "p", "none")
    assert all(question.type == "TXT" for question in asked(result))


@pytest.mark.parametrize(("asks", "gets"), [("reject", "quarantine"), ("quarantine", "none"), ("none", "none")])
def test_s22_t_y_is_one_level_weaker(asks: str, gets: str) -> None:
    result = evaluated("example.com", {"_dmarc.example.com": [{"TXT": f"v=DMARC1; p={asks}; t=y"}]})
    assert (result.result, result.requested, result.disposition, result.testing) == ("fail", asks, gets, True)


def test_s22_pct_changes_nothing() -> None:
    assert (
        evaluated("example.com", {"_dmarc.example.com": [{"TXT": "v=DMARC1; p=reject; pct=0"}]}).disposition == "reject"
    )


def test_s22_two_records_count_as_none_and_the_walk_goes_on() -> None:
    two = [{"TXT": "v=DMARC1; p=reject"}, {"TXT": "v=DMARC1; p=none"}]
    alone = evaluated("example.com", {"_dmarc.example.com": two})
    assert (alone.result, alone.problem) == ("none", "example.com has several DMARC records")
    below = evaluated("mail.example.com", {"_dmarc.mail.example.com": two, "_dmarc.example.com": REJECT})
    assert told(below) == ("fail", "example.com", "p", "reject")


def test_s22_a_broken_policy_is_none_with_rua_and_no_dmarc_without() -> None:
    with_rua = evaluated("example.com", {"_dmarc.example.com": [{"TXT": "v=DMARC1; p=bad; rua=mailto:a@example.com"}]})
    assert told(with_rua) == ("fail", "example.com", "p", "none")
    without = evaluated("example.com", {"_dmarc.example.com": [{"TXT": "v=DMARC1; p=bad"}]})
    assert (without.result, without.disposition) == ("permerror", "none")
    assert without.problem == "example.com: p=bad: not one of none, quarantine, reject"


def test_s22_psd_n_ends_the_walk_at_its_domain() -> None:
    zone = {
        "_dmarc.mail.example.com": [{"TXT": "v=DMARC1; p=quarantine; psd=n"}],
        "_dmarc.example.com": REJECT,
    }
    result = evaluated("a.mail.example.com", zone, dkim=["example.com"])
    assert told(result) == ("fail", "mail.example.com", "p", "quarantine")
    assert result.organizational_domain == "mail.example.com"
    assert evaluated("a.mail.example.com", zone, dkim=["b.mail.example.com"]).result == "pass"
    assert evaluated("b.example.com", zone, dkim=["mail.example.com"]).result == "fail"


def test_s22_psd_y_makes_the_organization_one_label_below() -> None:
    zone = {"_dmarc.com": [{"TXT": "v=DMARC1; p=reject; sp=quarantine; psd=y"}], "example.com": [{"A": "192.0.2.1"}]}
    result = evaluated("a.mail.example.com", zone, dkim=["other.com", "com", "mail.example.com"])
    assert (result.result, result.organizational_domain) == ("pass", "example.com")
    assert result.aligned.dkim == ("mail.example.com",)
    assert told(evaluated("example.com", zone)) == ("fail", "com", "sp", "quarantine")


def test_psd_y_at_the_domain_itself_does_not_make_it_another() -> None:
    result = evaluated("bank.example", BANK, spf="bank.example")
    assert (result.result, result.organizational_domain) == ("pass", "bank.example")
    assert evaluated("bank.example", BANK, spf="mega.bank.example").result == "fail"


def test_appendix_b_4_1_a_simple_organization() -> None:
    zone = {"_dmarc.example.com": REJECT, "_dmarc.signing.example.com": REJECT}
    result = evaluated("example.com", zone, spf="example.com", dkim=["signing.example.com"])
    assert result.result == "pass"
    assert (result.aligned.spf, result.aligned.dkim) == ("example.com", ("signing.example.com",))


def test_appendix_b_4_2_a_deep_name() -> None:
    zone = {"_dmarc.example.com": REJECT, "_dmarc.signing.example.com": REJECT}
    result = evaluated("a.b.c.d.e.f.g.h.i.j.k.example.com", zone, spf="example.com", dkim=["signing.example.com"])
    assert (result.result, result.policy_domain) == ("pass", "example.com")
    assert (result.aligned.spf, result.aligned.dkim) == ("example.com", ("signing.example.com",))


def test_appendix_b_4_3_a_public_suffix_with_a_record() -> None:
    result = evaluated("giant.bank.example", BANK, spf="mail.giant.bank.example", dkim=["mail.mega.bank.example"])
    assert (result.result, result.policy_domain) == ("pass", "giant.bank.example")
    assert (result.aligned.spf, result.aligned.dkim) == ("mail.giant.bank.example", ())
    assert told(evaluated("mega.bank.example", BANK)) == ("fail", "bank.example", "sp", "quarantine")
    assert told(evaluated("nowhere.bank.example", BANK)) == ("fail", "bank.example", "np", "reject")


@pytest.mark.parametrize(
    ("mode", "signed", "result"),
    [
        ("r", "example.com", "pass"),
        ("r", "b.example.com", "pass"),
        ("r", "MAIL.example.com", "pass"),
        ("r", "badexample.com", "fail"),
        ("r", "com", "fail"),
        ("s", "example.com", "fail"),
        ("s", "Mail.Example.com", "pass"),
        ("s", "a.mail.example.com", "fail"),
    ],
)
def test_alignment_is_relaxed_or_strict(mode: str, signed: str, result: str) -> None:
    zone = {"_dmarc.example.com": [{"TXT": f"v=DMARC1; p=reject; adkim={mode}; aspf={mode}"}]}
    assert evaluated("mail.example.com", zone, dkim=[signed]).result == result
    assert evaluated("mail.example.com", zone, spf=signed).result == result


def test_strict_for_one_mechanism_leaves_the_other_relaxed() -> None:
    zone = {"_dmarc.example.com": [{"TXT": "v=DMARC1; p=reject; adkim=s"}]}
    assert evaluated("example.com", zone, dkim=["a.example.com"]).result == "fail"
    assert evaluated("example.com", zone, spf="a.example.com").result == "pass"


@pytest.mark.parametrize("word", ["fail", "softfail", "neutral", "none", "permerror", "policy"])
def test_only_a_pass_counts(word: str) -> None:
    zone = {"_dmarc.example.com": REJECT}
    identity = Authenticated("example.com", word)
    assert evaluated("example.com", zone, spf=identity, dkim=[identity]).result == "fail"


def test_a3_a_signing_domain_that_is_no_name_is_nobody() -> None:
    zone = {"_dmarc.bank.example": REJECT}
    for domain in ("bank.example\x00.evil.example", "bank.example(.evil.example", "a..bank.example", ".bank.example"):
        result = evaluated("bank.example", zone, dkim=[domain])
        assert result.result == "fail"
        assert {question.name for question in asked(result)} == {"_dmarc.bank.example", "_dmarc.example"}


def test_domains_of_others_cost_no_question() -> None:
    strangers = [f"d{number}.evil{number}.com" for number in range(50)]
    result = evaluated("example.com", {"_dmarc.example.com": REJECT}, dkim=strangers)
    assert (result.result, len(asked(result))) == ("fail", 2)


def test_s2_a_responsible_address_that_passes_says_nothing_about_the_author() -> None:
    """Sender and Resent-From of a domain that the client may use, From of a bank: the bank's policy decides."""
    header = b"Resent-From: me@evil.example\r\nSender: me@evil.example\r\nFrom: ceo@bank.example\r\n"
    result = evaluated(header, {"_dmarc.bank.example": REJECT}, spf="evil.example", dkim=["evil.example"])
    assert (result.result, result.author_domain, result.disposition) == ("fail", "bank.example", "reject")


def test_a1_a_hello_domain_that_passes_says_nothing_about_the_author() -> None:
    """MAIL FROM of a name below the bank that does not exist, HELO of the attacker: none is not pass."""
    zone = {
        "_dmarc.bank.example": REJECT,
        "evil.example": [{"TXT": "v=spf1 +all"}],
        "bank.example": [{"TXT": "v=spf1 -all"}],
    }

    def spf(reverse_path: ReversePath, hello_domain: str, *, check_helo: bool = True) -> tuple[SpfResult | None, ...]:
        client = Client("198.51.100.1", None, hello_domain)
        facts = start(
            mail_facts(Checker(), client, reverse_path, None, 0.0, check_helo=check_helo), StaticResolver(zone)
        )
        assert not isinstance(facts, Suspended)
        return facts.spf, facts.helo

    mfrom, helo = spf(Mailbox("any", "nowhere.bank.example"), "evil.example")
    assert helo is not None
    assert (helo.result, spf_identity(helo)) == ("pass", None)
    assert evaluated("bank.example", zone, spf=spf_identity(mfrom)).result == "fail"
    assert evaluated("evil.example", zone | {"_dmarc.evil.example": REJECT}, spf=spf_identity(mfrom)).result == "fail"
    # Of a null reverse-path the hello domain is the identity that was checked (RFC 7208 section 2.4).
    mfrom, _ = spf(NULL, "evil.example")
    assert spf_identity(mfrom) == Authenticated("evil.example", "pass")
    assert evaluated("bank.example", zone, spf=spf_identity(mfrom)).result == "fail"
    assert evaluated("evil.example", zone | {"_dmarc.evil.example": REJECT}, spf=spf_identity(mfrom)).result == "pass"
    assert spf_identity(None) is None


def test_no_record_is_none() -> None:
    result = evaluated("example.com", {}, spf="example.com", dkim=["example.com"])
    assert (result.result, result.problem) == ("none", "example.com has no DMARC record")


@pytest.mark.parametrize("name", ["_dmarc.mail.example.com", "_dmarc.example.com", "_dmarc.com"])
def test_without_an_answer_about_the_policy_it_is_a_temperror(name: str) -> None:
    zone = {"_dmarc.example.com": REJECT} | {name: ["TIMEOUT"]}
    result = evaluated("mail.example.com", zone)
    assert (result.result, result.disposition) == ("temperror", "none")


def test_an_answer_that_is_not_needed_may_be_missing() -> None:
    zone = {"_dmarc.example.com": REJECT, "_dmarc.com": ["TIMEOUT"]}
    assert evaluated("example.com", zone).result == "fail"
    assert evaluated("example.com", zone, spf="example.com").result == "pass"
    assert evaluated("example.com", zone, spf="evil.net").result == "fail"
    assert evaluated("example.com", zone, spf="mail.example.com").result == "temperror"


def test_an_identifier_that_could_not_be_checked_is_a_temperror_where_it_would_be_aligned() -> None:
    """RFC 9989 section 5.3.6: without the answers a message is considered neither to pass nor to fail."""
    zone = {"_dmarc.example.com": REJECT}
    assert evaluated("example.com", zone, dkim=[Authenticated("mail.example.com", "temperror")]).result == "temperror"
    assert evaluated("example.com", zone, spf=Authenticated("example.com", "temperror")).result == "temperror"
    assert evaluated("example.com", zone, spf=Authenticated("evil.example", "temperror")).result == "fail"
    late = Authenticated("example.com", "temperror")
    assert evaluated("example.com", zone, spf=late, dkim=["mail.example.com"]).result == "pass"


def test_without_an_answer_whether_a_domain_exists_it_is_a_temperror_where_that_matters() -> None:
    def zone(record: str) -> ZoneData:
        return {"_dmarc.example.com": [{"TXT": f"v=DMARC1; {record}"}], "sub.example.com": ["TIMEOUT"]}

    assert evaluated("sub.example.com", zone("p=none; np=reject")).result == "temperror"
    assert evaluated("sub.example.com", zone("p=reject; np=reject")).result == "fail"
    assert evaluated("sub.example.com", zone("p=none; np=reject"), dkim=["example.com"]).result == "pass"


def test_a9_of_several_authors_the_strictest_failing_policy_decides() -> None:
    zone = {
        "_dmarc.quarantine.example": [{"TXT": "v=DMARC1; p=quarantine"}],
        "_dmarc.reject.example": REJECT,
        "_dmarc.none.example": [{"TXT": "v=DMARC1; p=none"}],
        "_dmarc.slow.example": ["TIMEOUT"],
    }

    def outcome(*domains: str, dkim: Sequence[str] = ()) -> tuple[str, str | None, str]:
        result = evaluated(", ".join(f"a@{domain}" for domain in domains), zone, dkim=dkim)
        assert result.problem is not None and result.problem.startswith("several authors: ")
        return result.result, result.author_domain, result.disposition

    assert outcome("quarantine.example", "reject.example", "none.example") == ("fail", "reject.example", "reject")
    assert outcome("evil.example", "reject.example", dkim=["evil.example"]) == ("fail", "reject.example", "reject")
    assert outcome("slow.example", "quarantine.example") == ("fail", "quarantine.example", "quarantine")
    assert outcome("none.example", "slow.example") == ("temperror", "slow.example", "none")
    both = ["reject.example", "quarantine.example"]
    assert outcome(*both, dkim=both)[0] == "pass"
    assert outcome("reject.example", "no.example", dkim=["reject.example"])[0] == "none"


def test_an_author_that_cannot_be_read_is_no_pass_and_costs_no_question() -> None:
    zone = {"_dmarc.bank.example": REJECT}
    two = b"From: a@bank.example\r\nFrom: a@bank.example\r\n"
    result = evaluated(two, zone, spf="bank.example")
    assert (result.result, result.evidence, result.problem) == ("permerror", None, "there are several From fields")
    assert evaluated(b"Subject: x\r\n", zone, spf="bank.example").result == "none"


RECORDS = st.sampled_from(
    [
        "v=DMARC1; p=none",
        "v=DMARC1; p=reject",
        "v=DMARC1; p=quarantine; psd=n",
        "v=DMARC1; p=reject; np=none; psd=y",
        "v=DMARC1; p=reject; adkim=s; aspf=s; t=y",
        "v=DMARC1; p=bad",
        "TIMEOUT",
        "other",
    ]
)
NAMES = st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=12).map(".".join)


@given(
    author=NAMES,
    zone=st.dictionaries(NAMES.map(lambda name: f"_dmarc.{name}"), RECORDS, max_size=6),
    spf=st.none() | NAMES,
    dkim=st.lists(NAMES, max_size=4),
)
def test_what_holds_for_every_message(author: str, zone: dict[str, str], spf: str | None, dkim: list[str]) -> None:
    result = evaluated(author, {name: [{"TXT": text}] for name, text in zone.items()}, spf=spf, dkim=dkim)
    if result.result == "pass":
        assert result.aligned
        names = [*([] if result.aligned.spf is None else [result.aligned.spf]), *result.aligned.dkim]
        for name in names:  # whoever is aligned has the author's name, or a common suffix that somebody published at
            assert name == author or f".{name}".endswith(f".{result.organizational_domain}")
    else:
        assert not result.aligned
        assert author not in [spf, *dkim] or result.result in ("none", "permerror", "temperror")
    assert result.disposition == "none" or result.result == "fail"
    assert len({question.name for question in asked(result)}) <= 8 * (1 + len(set(dkim)) + (spf is not None)) + 1
    assert (
        evaluated(author, {name: [{"TXT": text}] for name, text in zone.items()}, spf=spf, dkim=dkim[::-1]).result
        == result.result
    )
