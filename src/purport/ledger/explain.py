"""A record told to people: what was known, which rules were asked, what was decided, what became of it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

import msgspec

from purport.authentication.dmarc.tree_walk import PREFIX
from purport.authentication.spf.result import Scope, SpfResult
from purport.ledger.dmarc import RecordedDmarc
from purport.ledger.read import Entry
from purport.ledger.record import Check, Record, RecordedPra, encode
from purport.ledger.replay import decide_again, result_again
from purport.mail.envelope import Parameters
from purport.mail.text import safe
from purport.smtp.extensions.requiretls import requires_tls

MARKS: Final = {"pass": "ok", "refuse": "NO", "defer": "later", "tag": "noted", "skip": "-"}
COLOURS: Final = {"accept": "32", "reject": "31", "defer": "33", "abandoned": "2"}  # ECMA-48 SGR
ADVICE: Final = {
    "submitter-authorized": "The client named a submitter whose domain does not let it send. Either the client must "
    "name an address of its own domain, or the owner of {domain} must add the client to the domain's SPF record.",
    "submitter-matches-header": "The header names somebody else as responsible. The client must send as SUBMITTER the "
    "address of the field that the PRA comes from, or add a Sender or Resent-From field that names its submitter.",
    "login-owns-reverse-path": "The user may not send from that reverse-path. Either the mail program must use an "
    "address of the user's, or the address must be added to the user's `addresses`.",
    "login-owns-submitter": "The user may not speak for that submitter. The mail program must name an address of the "
    "user's, or nobody.",
    "login-owns-author": "The header names somebody else than the user. Either the mail program must use an address of "
    "the user's there, or the address must be added to the user's `addresses`.",
    "pra-present": "The header names nobody as responsible. The client must send exactly one From or Sender field "
    "with one address in it.",
    "pra-authorized": "The domain of the responsible address does not let this client send. Forwarders must add a "
    "Resent-From field of their own.",
    "spf": "The domain of the reverse-path does not let this client send. Its owner must add the client to its SPF "
    "record, or the client must use a reverse-path of its own.",
    "relaying": "Either the recipient is misspelt, or its domain or mailbox is missing in this server's settings, or "
    "the client's network is missing in [relay] networks.",
    "mail-data": "The client broke the rules of SMTP while it sent the message; its software must be mended.",
    "header": "The header of the message is longer than anybody's: the client must send less of it.",
    "storage": "The disk of this server could not take the message. The client will try again.",
    "forwarding-dmarc": "The author's domain disowns the message, so it is not passed on in our name. Its owner must "
    "sign the mail or name the client in its SPF record; [forwarding] dmarc_fail says which mail is refused so.",
    "dmarc": "The domain of the author does not let this client write in its name, and no signature of that domain "
    "holds. Its owner must sign the mail or name the client in its SPF record; a forwarder or list must leave what is "
    "signed as it is, or write in its own name.",
    "one-author": "The client must send exactly one From field, with addresses that every reader understands alike.",
    "forwarding-loop": "The mailbox forwards to an address whose mail comes back to it: change one of the two.",
    "hops": "The message goes round in circles: look at its Received fields.",
}


def as_json(entry: Entry) -> str:
    """The record and its deliveries as one JSON object, with the decision taken again."""
    again = decide_again(entry.record)
    whole = {
        **msgspec.json.decode(encode(entry.record), type=dict[str, object]),
        "deliveries": msgspec.to_builtins(entry.deliveries),
        "decided_again": {"decision": again.decision, "rule": again.rule, "reply": again.reply},
    }
    return msgspec.json.encode(whole).decode()


def as_text(entry: Entry, *, colour: bool = False) -> str:
    """The record as text; `colour` for a terminal."""
    return "\n".join(safe(line) if not line.startswith("\x1b") else line for line in _lines(entry, colour))


def _lines(entry: Entry, colour: bool) -> Iterator[str]:
    record = entry.record
    word = {"accept": "accepted", "reject": "refused", "defer": "deferred", "abandoned": "not finished"}[
        record.decision
    ]
    title = f"{record.id}: {word} at {record.stage}"
    yield f"\x1b[1;{COLOURS[record.decision]}m{safe(title)}\x1b[0m" if colour else title
    yield f"  when       {datetime.fromtimestamp(record.time, UTC):%Y-%m-%d %H:%M:%S} UTC"
    client = record.client
    yield f"  client     {client.address} ({client.name or 'name unknown'}), said {client.helo or 'no HELO'}"
    if record.behind is not None:
        yield f"  behind it  {record.behind.address}, said {record.behind.helo or 'no HELO'}: judged in its place"
    if client.tls:
        yield f"  protected  {client.tls} {client.cipher}"
    if client.login is not None:
        yield f"  login      {client.login.name} ({client.login.mechanism})"
    yield f"  mail from  <{record.reverse_path}>"
    if requires_tls(Parameters.from_octets(record.parameters.encode("ascii", "replace"))):
        yield "  asks for   REQUIRETLS"
    yield f"  submitter  {record.submitter or 'none was named'}"
    if record.pra is not None:
        yield f"  PRA        {_pra(record.pra)}"
    for recipient in record.recipients:
        back = f", named as <{recipient.named}>" if recipient.named else ""
        yield f"  recipient  <{recipient.address}>{back}" + (f": {recipient.reply}" if recipient.reply else "")
    for forward in record.forwards:
        yield f"  {forward.id} forwarded for {forward.forwarder} from <{forward.reverse_path}>"
        if forward.repair:
            yield f"             repaired by {forward.repair}" + (f"; {forward.expected}" if forward.expected else "")
        for address in forward.recipients:
            yield f"             to <{address}>"
    if record.message_id:
        yield f"  message    {record.message_id}, {record.size} octets"
    if record.signed:
        yield f"  signed     by {', '.join(record.signed)}"
    yield "rules, in the order they were asked"
    for name, outcome, reason in record.rules:
        decided = "  <- decided" if outcome in ("refuse", "defer") else ""
        yield f"  {MARKS.get(outcome, outcome):5} {name}: {reason}{decided}"
    if record.fault:
        yield f"  NO    {record.fault}: {record.reply}  <- decided"
    if record.reply:
        yield "reply"
        yield f"  {record.reply}"
    yield from _evidence(record)
    if record.decision in ("reject", "defer") and (advice := ADVICE.get(record.rule)):
        yield "what to change"
        yield "  " + advice.format(domain=_submitter_domain(record))
    if entry.deliveries:
        yield "deliveries"
    for delivery in entry.deliveries:
        when = f"{datetime.fromtimestamp(delivery.time, UTC):%Y-%m-%d %H:%M:%S}"
        via = f" via {delivery.host}" if delivery.host else ""
        via += f" ({delivery.tls})" if delivery.tls else ""
        via += f", asked for {delivery.policy}" if delivery.policy else ""
        yield f"  {when} <{delivery.recipient}> {delivery.outcome}{via}: {delivery.reply}"
    yield from _compared(entry)


def _compared(entry: Entry) -> Iterator[str]:
    """Whether what was expected of next hops came true: they took a message, or refused it for a policy (RFC 3463
    section 3.8)."""
    for forward in entry.record.forwards:
        if not forward.expected:
            continue
        taken = [one for one in entry.deliveries if one.recipient in forward.recipients and one.outcome == "sent"]
        refused = [one for one in entry.deliveries if one.recipient in forward.recipients and " 5.7." in one.reply]
        if not taken and not refused:
            continue
        hoped = f"{forward.repair}: pass expected" in forward.expected
        came = "as expected" if hoped == bool(taken) else "not as expected"
        yield f"  {forward.id} {'was taken' if taken else 'was refused by a policy'}, {came}"


def _evidence(record: Record) -> Iterator[str]:
    checks: tuple[tuple[Check | None, Scope, str], ...] = (
        (record.sender_id, "pra", "Sender ID of the submitter"),
        (record.pra_check, "pra", "Sender ID of the PRA"),
        (record.spf, "mfrom", "SPF of the reverse-path"),
        (record.helo, "helo", "SPF of the hello domain"),
    )
    for check, scope, title in checks:
        result = result_again(record, check, scope)
        if result is not None:
            yield f"{title}: {result.result}"
            yield from _steps(result)
    if record.dmarc is not None:
        yield from _proved(record.dmarc)


def _proved(found: RecordedDmarc) -> Iterator[str]:
    """What the signatures said, and the policy of the author's domain."""
    for one in found.dkim:
        who = f"{one.domain} (selector {one.selector})" if one.domain else "nobody"
        yield f"DKIM signature of {who}: {one.result}" + (f": {one.problem}" if one.problem else "")
    yield f"DMARC of {found.domain or 'nobody'}: {found.result}" + (f": {found.problem}" if found.problem else "")
    if found.policy_domain is not None and found.record is not None:
        yield f"  {PREFIX}{found.policy_domain}: {found.record}"
    for identifier in (found.aligned_spf, *found.aligned_dkim):
        if identifier is not None:
            yield f"  {identifier} is aligned with {found.domain}"
    if found.tag is not None:
        yield f"  {found.tag}={found.requested} applies; what is asked for: {found.disposition}"
    if found.chain is not None:
        sealers = ", ".join(found.chain.sealers) or "nobody who can be told"
        yield f"ARC chain of {sealers}: {found.chain.result}" + f": {found.chain.problem}" * bool(found.chain.problem)
    if found.override is not None:
        yield f"  not applied: {found.override.by} vouches ({found.override.type}) {found.override.reason}".rstrip()


def _steps(result: SpfResult) -> Iterator[str]:
    """The evaluation, step by step, from the recorded DNS answers."""
    for step in result.trace:
        yield f"  {step.domain}: {step.term} -> {step.outcome}"
    if result.explanation:
        yield f"  the domain's owner says: {result.explanation}"


def _pra(pra: RecordedPra) -> str:
    if pra.address is None:
        return f"none: {pra.problem} (steps {pra.step})"
    return f"{pra.address} (field {pra.field}, steps {pra.step})"


def _submitter_domain(record: Record) -> str:
    return (record.submitter or "").rpartition("@")[2] or "the domain"
