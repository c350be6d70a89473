"""A login on its way through the front door: the mechanism asks, the authenticator answers, the guard counts.

warning: unknown[192.0.2.1]: SASL PLAIN authentication failed: authentication failure, sasl_username=alice
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, final

from purport.log import MailLog, client_text
from purport.mail.reply import Reply
from purport.policy.facts import Client
from purport.policy.login import Login
from purport.smtp.event import Auth, AuthResponse
from purport.smtp.extension import Terms
from purport.smtp.extensions import auth
from purport.smtp.sasl import mechanisms
from purport.smtp.sasl.exchange import Challenge, DigestCheck, Given, KeysWanted, PasswordCheck, Question, Refused
from purport.smtp.sasl.scram import Channel
from purport.users.authenticator import Authenticator
from purport.users.guard import Guard
from purport.users.password import Unavailable

NONCE_OCTETS: Final = 18  # RFC 5802 leaves it open; these are 144 bits
TOO_MANY: Final = "too many failures"
NO_TOKEN_NAME: Final = ""  # an OAuth token does not say whose it is before it is checked


@final
@dataclass(frozen=True, slots=True)
class Turn:
    """The reply to one step; `login` where the exchange came to its end, and well."""

    reply: Reply
    login: Login | None = None

    @property
    def over(self) -> bool:
        """Whether nothing more belongs to the exchange."""
        return self.reply.code != 334


@final
class Exchange:
    """One AUTH exchange of one client."""

    def __init__(
        self, event: Auth, client: Client, terms: Terms, bindings: Mapping[str, bytes], desk: LoginDesk
    ) -> None:
        context = mechanisms.ServerContext(
            secrets.token_urlsafe(NONCE_OCTETS),
            Channel(bindings, any(name.endswith(mechanisms.BOUND) for name in auth.mechanisms_on(terms))),
            desk.authenticator.scope,
            desk.hostname,
        )
        self._desk = desk
        self._client = client
        self._secure = terms.secure
        self._mechanism = event.mechanism
        self._steps = mechanisms.server_exchange(event.mechanism, event.initial, context)
        self._counted: str | None = None  # the name that the guard counts this attempt for
        self._asked = False

    async def begin(self) -> Turn:
        """The first step."""
        if self._desk.guard.shuts_out(self._client.address):
            return self._fail(TOO_MANY, auth.TOO_MANY)
        return await self._go_on(None)

    async def respond(self, event: AuthResponse) -> Turn:
        """The next one."""
        if event.fault is None:
            return await self._go_on(event.octets)
        self._steps.close()
        return await self._refused(
            "the client cancelled" if event.fault == auth.CANCELLED else "bad input", event.fault
        )

    def drop(self) -> None:
        """The client is gone. An attempt whose outcome it could have seen coming counts."""
        self._steps.close()

    async def _go_on(self, given: Given) -> Turn:
        try:
            asked = self._steps.send(given)
            while not isinstance(asked, Challenge):
                if self._shut_out(asked):
                    self._steps.close()
                    return self._fail(TOO_MANY, auth.TOO_MANY)
                asked = self._steps.send(
                    await self._desk.authenticator.answer(asked, self._client.address, secure=self._secure)
                )
        except StopIteration as stop:
            return self._passed(str(stop.value))
        except Refused as refused:
            return await self._refused(refused.reason, refused.reply)
        except Unavailable as error:
            self._steps.close()
            self._take_back()
            return self._fail(str(error), auth.TEMPORARY)
        return Turn(auth.challenge(asked.octets))

    def _shut_out(self, question: Question) -> bool:
        """Whether this question is not even asked; else the attempt counts from now on."""
        named = isinstance(question, PasswordCheck | KeysWanted | DigestCheck)
        name = question.name if isinstance(question, PasswordCheck | KeysWanted | DigestCheck) else NO_TOKEN_NAME
        guard, address = self._desk.guard, self._client.address
        if guard.shuts_out(address) or (named and guard.shuts_out_login(address, name)):
            return True
        self._counted = name
        guard.begin(address, name)
        return False

    def _take_back(self) -> None:
        if self._counted is not None:
            self._desk.guard.take_back(self._client.address, self._counted)

    def _passed(self, name: str) -> Turn:
        self._take_back()
        self._desk.guard.remember(self._client.address, name)
        return Turn(auth.SUCCESS, replace(self._desk.authenticator.login(name), mechanism=self._mechanism))

    async def _refused(self, reason: str, reply: Reply) -> Turn:
        """Told after a while that grows with each failure; the last one that is borne with ends the connection."""
        guard, address = self._desk.guard, self._client.address
        if self._counted is None:  # nobody was asked about: it is still somebody's try
            return self._fail(reason, reply)
        turn = self._fail(reason, auth.TOO_MANY if guard.shuts_out(address) else reply)
        await asyncio.sleep(guard.delay(address))
        return turn

    def _fail(self, reason: str, reply: Reply) -> Turn:
        client = client_text(self._client.name, self._client.address)
        self._desk.log.login_failed(client, self._mechanism, reason, self._counted)
        return Turn(reply)


@final
@dataclass(frozen=True, slots=True)
class LoginDesk:
    """What the exchanges of a listener share. A reload makes a new one; the guard stays."""

    authenticator: Authenticator
    guard: Guard
    log: MailLog
    hostname: str = "localhost"
