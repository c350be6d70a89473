"""What replies mean for recipients (RFC 5321 section 4.2.1)."""

from __future__ import annotations

import pytest

from purport.delivery.failure import Judgement, judge, judge_host, status_of
from purport.mail.reply import Reply, reply
from purport.smtp.client_transaction import Stage

COMMANDS = [Stage.MAIL, Stage.RCPT, Stage.DATA, Stage.MAIL_DATA, Stage.END_OF_DATA]


@pytest.mark.parametrize("stage", COMMANDS)
@pytest.mark.parametrize(
    ("code", "judgement", "with_more_hosts"),
    [
        (250, Judgement.RELAYED, Judgement.RELAYED),
        (450, Judgement.DEFERRED, Judgement.NEXT_HOST),
        (499, Judgement.DEFERRED, Judgement.NEXT_HOST),
        (550, Judgement.FAILED, Judgement.FAILED),
        (599, Judgement.FAILED, Judgement.FAILED),
    ],
)
def test_what_a_server_says(stage, code, judgement, with_more_hosts):
    given = Reply(code)
    assert judge(given, stage, local=False, more_hosts=False) is judgement
    assert judge(given, stage, local=False, more_hosts=True) is with_more_hosts


def test_552_at_rcpt_means_too_many_recipients():
    assert judge(Reply(552), Stage.RCPT, local=False, more_hosts=False) is Judgement.DEFERRED
    assert judge(Reply(552), Stage.MAIL, local=False, more_hosts=False) is Judgement.FAILED
    assert judge(Reply(552), Stage.END_OF_DATA, local=False, more_hosts=False) is Judgement.FAILED


def test_a_connection_lost_after_the_end_of_data_is_not_tried_elsewhere():
    assert judge(Reply(450), Stage.END_OF_DATA, local=True, more_hosts=True) is Judgement.DEFERRED
    assert judge(Reply(450), Stage.DATA, local=True, more_hosts=True) is Judgement.NEXT_HOST


@pytest.mark.parametrize(
    ("code", "stage", "judgement"),
    [
        (521, Stage.GREETING, Judgement.FAILED),
        (554, Stage.GREETING, Judgement.DEFERRED),
        (421, Stage.GREETING, Judgement.DEFERRED),
        (550, Stage.HELLO, Judgement.DEFERRED),
        (450, Stage.CONNECT, Judgement.DEFERRED),
        (556, Stage.CONNECT, Judgement.FAILED),
    ],
)
def test_what_a_refused_connection_means(code, stage, judgement):
    assert judge_host(Reply(code), stage) is judgement


def test_a_status_is_made_up_where_there_is_none():
    assert status_of(Reply(451)) == "4.0.0"
    assert status_of(reply(550, "5.1.1", "x")) == "5.1.1"
