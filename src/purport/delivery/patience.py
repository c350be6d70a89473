"""How long each step of an attempt may take."""

from __future__ import annotations

from dataclasses import dataclass

from purport.net.tls import HANDSHAKE_SECONDS
from purport.smtp.client_transaction import Stage


@dataclass(frozen=True, slots=True)
class Patience:
    """How long each step may take, in seconds (RFC 5321 section 4.5.3.2; connect and hello are ours)."""

    connect: float = 30.0
    greeting: float = 300.0
    hello: float = 300.0
    tls: float = HANDSHAKE_SECONDS
    mail: float = 300.0
    rcpt: float = 300.0
    data: float = 120.0
    block: float = 180.0  # for each piece of the mail data to leave
    end_of_data: float = 600.0
    atrn: float = 660.0  # RFC 2645 section 5.2.1 asks for ten minutes at least
    quit: float = 5.0  # nothing depends on it
    idle: float = 5.0  # without a transaction, before QUIT

    def by_stage(self) -> dict[Stage | None, float]:
        """The seconds for what a session waits for; None: nothing."""
        return {
            Stage.GREETING: self.greeting,
            Stage.HELLO: self.hello,
            Stage.STARTTLS: self.tls,
            Stage.AUTH: self.hello,
            Stage.RESET: self.mail,
            Stage.MAIL: self.mail,
            Stage.RCPT: self.rcpt,
            Stage.DATA: self.data,
            Stage.MAIL_DATA: self.block,
            Stage.CHUNK: self.end_of_data,
            Stage.END_OF_DATA: self.end_of_data,
            Stage.ATRN: self.atrn,
            Stage.QUIT: self.quit,
            None: self.idle,
        }
