"""A decision and the rules that led to it.

Msgspec structs, like `SpfResult`: half a dozen are made for every message.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from purport.authentication.spf.result import SpfResult
from purport.mail.reply import Reply

Action = Literal["accept", "reject", "defer"]


class Rule(msgspec.Struct, frozen=True):
    """One rule that was asked: its name (`submitter-authorized`), what it said, and why.

    `outcome` is `pass`, `refuse`, `defer`, `tag` or `skip`.
    """

    name: str
    outcome: str
    reason: str


class Decision(msgspec.Struct, frozen=True):
    """What to do at a stage. `reply` is set unless the action is accept; `rules` in the order asked, the
    last one decided where it refuses."""

    action: Action
    reply: Reply | None = None
    rules: tuple[Rule, ...] = ()

    @property
    def rule(self) -> str:
        """The name of the rule that decided, or `default`."""
        return self.rules[-1].name if self.rules and self.action != "accept" else "default"


def told(result: SpfResult) -> str:
    """What a check found, as the reason of a rule."""
    standard = "Sender ID" if result.scope == "pra" else "SPF"
    by = f" by {result.mechanism} of {result.mechanism_domain}" if result.mechanism else ""
    why = f": {result.problem}" if result.problem else ""
    return f"{standard} ({result.scope}) of {result.domain} is {result.result}{by}{why}"
