"""What the octets of a message prove: its signatures, what the domain of its author says about those without, and the
chain of those who passed it on.

The body is hashed while it comes; the keys and the author's policy are asked for at once.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import final

import msgspec

from purport.authentication.arc.chain import validate
from purport.authentication.arc.result import NO_CHAIN, ArcResult
from purport.authentication.arc.sets import Chain, read_chain
from purport.authentication.dkim.body import BodyForm, BodyHashes, MessageHasher
from purport.authentication.dkim.result import DkimResult
from purport.authentication.dkim.signature import Signature, signatures
from purport.authentication.dkim.verify import verify
from purport.authentication.dmarc.author import author_of
from purport.authentication.dmarc.evaluate import evaluate_author
from purport.authentication.dmarc.memory import DmarcMemory
from purport.authentication.dmarc.result import Authenticated, DmarcResult, spf_identity
from purport.authentication.dmarc.tree_walk import Walks
from purport.authentication.spf.result import SpfResult
from purport.dns.lookup import Evaluation, together
from purport.mail.header import Header


@final
class MessageReader:
    """A message while it comes: its header as soon as that is there, with its signatures and its chain, and the hashes
    that these ask for, and those in other `forms`."""

    __slots__ = ("_forms", "_hasher", "chain", "signatures")

    def __init__(self, *forms: BodyForm) -> None:
        self._forms = forms
        self.signatures: tuple[Signature, ...] = ()
        self.chain: Chain | None = None
        self._hasher = MessageHasher(self._forms_of)

    @property
    def header(self) -> Header | None:
        """The header, once its end has come."""
        return self._hasher.header

    def update(self, octets: bytes) -> None:
        """The next piece of the message, whatever way it is cut."""
        self._hasher.update(octets)

    def finish(self) -> BodyHashes:
        """The hashes of the body. Once, at the end."""
        return self._hasher.finish()

    def _forms_of(self, header: Header) -> Collection[BodyForm]:
        self.signatures = signatures(header)
        self.chain = read_chain(header)
        if not self.signatures and not self.chain.sets:
            return self._forms
        forms = [signature.form for signature in self.signatures if signature.result is None]
        return [*forms, *self.chain.body_forms, *self._forms]


class Authentication(msgspec.Struct, frozen=True):
    """The results for a message: of each signature, of DMARC, and of the chain of those who passed it on."""

    dkim: tuple[DkimResult, ...]
    dmarc: DmarcResult
    arc: ArcResult = NO_CHAIN


def authenticated_before(
    header: Header,
    found: tuple[Signature, ...],
    spf: SpfResult | None,
    now: float,
    chain: Chain | None,
    memory: DmarcMemory | None,
) -> Authentication | None:
    """The results where they are known without asking anything or making a signature canonical, as for most messages of
    most senders: there are no signatures, and the author is remembered. The arguments are those of `authenticate`."""
    if memory is None or chain is None or found or chain:
        return None
    dmarc = memory.known(author_of(header), spf_identity(spf), (), now)
    return None if dmarc is None else Authentication((), dmarc)


def authenticate(
    header: Header,
    found: tuple[Signature, ...],
    hashes: BodyHashes,
    spf: SpfResult | None,
    now: float,
    *,
    chain: Chain | None = None,
    memory: DmarcMemory | None = None,
) -> Evaluation[Authentication]:
    """The results for a message that came whole: `found` are its signatures, `hashes` those of its body, `spf` what SPF
    said of its reverse-path. `now` is in seconds since 1970. `chain` is that of the header, where it was read before;
    `memory` keeps results of DMARC from one message to the next."""
    author = author_of(header)
    identity = spf_identity(spf)
    walks = Walks()
    dkim, _, arc = yield from together(
        verify(found, header, hashes, now), walks.walk(author.domains), validate(header, hashes, now, chain)
    )
    # A signature with a key that is only tried out (t=y) counts too where it holds: keys are left so by mistake, and
    # RFC 6376 section 3.6.1 is there to spare their domains, not to have their mail refused.
    identifiers = [Authenticated(one.domain, one.result, one.selector) for one in dkim]
    dmarc = None if memory is None else memory.known(author, identity, identifiers, now)
    if dmarc is None:
        dmarc = yield from evaluate_author(author, identity, identifiers, walks)
        if memory is not None:
            memory.keep(author, identity, identifiers, dmarc, now)
    return Authentication(dkim, dmarc, arc)
