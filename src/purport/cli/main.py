"""`purport`: the command and its groups. A group's module is imported when it is called, so that help is quick."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from typing import Final, NoReturn

import click

from purport import __version__
from purport.cli.exits import EX_USAGE, Failure

# Name, module and the line that help shows: known here, so that help imports nothing.
COMMANDS: Final = {
    "serve": "run the server",
    "check": "check the settings file",
    "config": "describe the settings",
    "user": "add, delete or list users who may log in, change or check their passwords",
    "queue": "list, show, hold, release, retry or delete messages in the queue",
    "report": "list, show or send the daily reports to other domains",
    "odmr": "fetch now what waits for us at providers (RFC 2645)",
    "explain": "tell why a message was accepted or refused, and what became of it",
    "ledger": "verify that the records of transactions are those that were written",
    "judge": "tell what would be decided about a message, and why",
    "forward": "plan how a message would fare at another server if it were forwarded",
    "chain": "show who was responsible for a message on each hop, and what proves it",
    "pra": "find the address that a message names as responsible (RFC 4407)",
    "spf": "check SPF or Sender ID (RFC 7208, RFC 4406)",
    "dkim": "make keys, sign and verify messages (RFC 6376)",
    "dmarc": "look over what a domain publishes about DMARC (RFC 9989)",
    "arc": "verify who passed a message on, and what each of them found (RFC 8617)",
    "tls": "look at how mail to a domain would be protected: DANE, MTA-STS, the settings",
    "send": "send one message, naming its submitter where the server offers SUBMITTER",
    "etrn": "ask a server to send what waits for a domain (RFC 1985)",
    "demo": "play the dialogues of RFC 4405 section 5 between five servers on this machine",
}


class Lazy(click.Group):
    """A group whose commands are imported when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """All names, in the order in which an administrator meets them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """The command, imported."""
        if cmd_name not in COMMANDS:
            return None
        command = importlib.import_module(f"purport.cli.{cmd_name}").command
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """The names with their lines, nothing imported."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=Lazy, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="purport")
def group() -> None:
    """The mail server that asks who is responsible for a message, and whether this client may speak for them."""


def main(words: Sequence[str] | None = None) -> NoReturn:
    """The entry point: the command in `words`, or in this process's arguments. Usage errors exit with 64
    (sysexits), a closed pipe without a word."""
    try:
        code = group.main(words, prog_name="purport", standalone_mode=False)
    except click.exceptions.Exit as done:
        code = done.exit_code
    except click.Abort:
        code = 130
    except click.UsageError as error:
        error.show()
        code = EX_USAGE  # click's own is 2
    except Failure as failure:
        failure.show()
        code = failure.code
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except BrokenPipeError:
        sys.stderr.close()
        code = 0
    sys.exit(code)
