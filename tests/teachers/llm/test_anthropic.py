import os
import signal
import subprocess
import sys
import time

import pytest

from buckler.errors import InputError, SettingsError
from buckler.labels import LabelStore
from buckler.labels.ledger import Ledger
from buckler.tasks import get_task
from buckler.teachers.budget import Budget
from buckler.teachers.labeling import label, plan
from buckler.teachers.llm.anthropic import AnthropicSettings, AnthropicTeacher
from tests.support.chat_server import chat_server
from tests.support.fault_proxy import fault_proxy
from tests.support.paid_events import check, many
from tests.support.scripted_server import scripted_server

pytest.importorskip("anthropic", reason="the extra 'llm' is not installed")
TASK = get_task("url-threat")


def teacher(at, **settings):
    return AnthropicTeacher(
        TASK,
        AnthropicSettings(
            **{"model": "claude-haiku-4-5", "base_url": at, "hosted": False, "poll_s": 0.05}
            | settings
        ),
    )


def batches_of(server):
    return [line for line in server.log.read_text().splitlines() if line.startswith("#")]


@pytest.mark.parametrize("each", [1, 4])
def test_messages_with_a_forced_form(tmp_path, each):
    with chat_server(tmp_path) as server, LabelStore(tmp_path / "a.db") as store:
        who = teacher(server.url, events_per_call=each, samples=2)
        account = label(many(tmp_path, 24), who, store).account
        check(store, who, 24)
        calls = 2 * 24 // each
        assert account.calls == calls
        assert account.spent.input_tokens == 100 * calls
        assert account.spent.cost_usd == pytest.approx(calls * (100 * 1.0 + 20 * 5.0) / 1e6)


def test_every_sample_pays_for_its_input(tmp_path):
    """The estimate has to count the prompt once for each sample: here they are requests."""
    with chat_server(tmp_path) as server, LabelStore(tmp_path / "a.db") as store:
        events = many(tmp_path, 12)
        one, three = (
            plan(events, teacher(server.url, samples=n), store).estimate.spending for n in (1, 3)
        )
        assert three.input_tokens == 3 * one.input_tokens
        assert three.cost_usd == pytest.approx(3 * one.cost_usd)


def test_faults_are_the_same_for_every_protocol(tmp_path):
    faults = ("429", "500", "reset", "reset-after", "truncated", "malformed", "html")
    with (
        chat_server(tmp_path) as server,
        fault_proxy(server.port, faults, share=0.3) as proxy,
        LabelStore(tmp_path / "a.db") as store,
    ):
        who = teacher(proxy.url, samples=1, attempts=12)
        result = label(many(tmp_path, 60), who, store)
        assert result.new + result.silent == 60 and result.new > 55
        assert len(proxy.met) >= 5


def test_a_key_is_needed_for_the_hosted_service():
    with pytest.raises(SettingsError, match="ANTHROPIC_TEST_KEY"):
        teacher(None, hosted=True, api_key_env="ANTHROPIC_TEST_KEY").client.connect()


def test_batches_cost_half_and_answers_come_in_any_order(tmp_path):
    with chat_server(tmp_path, batch_seconds=0.2) as server:
        with LabelStore(tmp_path / "a.db") as store:
            who = teacher(server.url, batches=True, samples=2, events_per_call=3, batch_calls=10)
            account = label(many(tmp_path, 60), who, store).account
            check(store, who, 60)
            assert account.calls == 40
            assert account.spent.cost_usd == pytest.approx(40 * (100 * 0.5 + 20 * 2.5) / 1e6)
            assert Ledger(store, TASK, who.annotator).spent().cost_usd == pytest.approx(
                account.spent.cost_usd
            )
            assert not Ledger(store, TASK, who.annotator).open_submissions()
        assert len(batches_of(server)) == 4
        assert set(server.asked().values()) == {2}


def test_what_failed_in_a_batch_is_asked_again(tmp_path):
    with (
        chat_server(tmp_path, batch_errors=1) as server,
        LabelStore(tmp_path / "a.db") as store,
    ):
        who = teacher(server.url, batches=True, samples=1)
        first = label(many(tmp_path, 30), who, store)
        assert (first.new, first.account.unanswered) == (27, 3)
        second = label(many(tmp_path, 30), who, store)
        assert (second.known, second.new) == (27, 3)
        check(store, who, 30)


def test_batches_survive_errors_of_the_service(tmp_path):
    faults = ("429", "500", "503", "reset", "malformed", "html")
    with (
        chat_server(tmp_path, batch_seconds=0.3) as server,
        fault_proxy(server.port, faults, share=0.3) as proxy,
        LabelStore(tmp_path / "a.db") as store,
    ):
        who = teacher(proxy.url, batches=True, samples=1, batch_calls=10, attempts=12)
        for _ in range(20):  # a submission that broke is looked for by the next run
            try:
                result = label(many(tmp_path, 30), who, store)
            except InputError as error:
                assert "run again to resume" in str(error)
            else:
                break
        assert result.known + result.new == 30
        check(store, who, 30)
        assert set(server.asked().values()) == {1}


def test_a_batch_that_the_service_refuses_is_an_error(tmp_path):
    refuse = lambda _: (400, {}, {"type": "error", "error": {"message": "too many"}})  # noqa: E731
    with scripted_server(refuse) as url, LabelStore(tmp_path / "a.db") as store:
        who = teacher(url, batches=True, samples=1)
        with pytest.raises(InputError, match=r"does not take this call.*too many"):
            label(many(tmp_path, 3), who, store)


def test_a_budget_limits_what_is_handed_in(tmp_path):
    with chat_server(tmp_path) as server, LabelStore(tmp_path / "a.db") as store:
        who = teacher(server.url, batches=True, samples=1)
        result = label(many(tmp_path, 30), who, store, budget=Budget(events=10))
        assert (result.new, result.account.stopped) == (10, "the budget is spent")


RUN = """
import sys
from pathlib import Path
from buckler.dataset import read_dataset
from buckler.labels import LabelStore
from buckler.tasks import get_task
from buckler.teachers.llm.anthropic import AnthropicSettings, AnthropicTeacher
from buckler.teachers.labeling import label
task = get_task("url-threat")
events = read_dataset([Path(sys.argv[1])], task)
who = AnthropicTeacher(task, AnthropicSettings(model="claude-haiku-4-5", base_url=sys.argv[2],
    hosted=False, poll_s=0.05, batches=True, samples=1, batch_calls=20))
with LabelStore(sys.argv[3]) as store:
    label(events, who, store)
"""


def run(tmp_path, server, kill_when=None):
    process = subprocess.Popen(
        [
            *(sys.executable, "-c", RUN, str(tmp_path / "events-60.parquet")),
            *(server.url, str(tmp_path / "a.db")),
        ]
    )
    if kill_when is None:
        assert process.wait(30) == 0
        return
    while not kill_when():
        assert process.poll() is None
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()


def test_a_killed_run_collects_its_batches_and_hands_nothing_in_twice(tmp_path):
    many(tmp_path, 60)
    with chat_server(tmp_path, batch_seconds=1.5) as server:
        run(tmp_path, server, kill_when=lambda: len(batches_of(server)) >= 2)
        run(tmp_path, server)
        assert len(batches_of(server)) == 3
        assert set(server.asked().values()) == {1}
        with LabelStore(tmp_path / "a.db") as store:
            check(store, teacher(server.url, batches=True, samples=1), 60)


def test_a_batch_whose_name_was_lost_is_found_again(tmp_path):
    """The process dies after the provider took the batch and before its name was noted."""
    events = many(tmp_path, 20)
    with chat_server(tmp_path) as server, LabelStore(tmp_path / "a.db") as store:
        who = teacher(server.url, batches=True, samples=1)

        async def lose(requests, submit=who.client.submit):
            await submit(requests)
            raise KeyboardInterrupt

        who.client.submit = lose
        with pytest.raises(KeyboardInterrupt):
            label(events, who, store)
        assert len(Ledger(store, TASK, who.annotator).open_submissions()) == 1
        del who.client.submit
        result = label(events, who, store)
        assert result.new == 20 and len(batches_of(server)) == 1

        async def never_arrives(requests):
            raise KeyboardInterrupt

        more = many(tmp_path, 30)
        who.client.submit = never_arrives
        with pytest.raises(KeyboardInterrupt):
            label(more, who, store)
        del who.client.submit
        result = label(more, who, store)
        assert (result.known, result.new) == (20, 10)
        assert not Ledger(store, TASK, who.annotator).open_submissions()
        check(store, who, 30)
