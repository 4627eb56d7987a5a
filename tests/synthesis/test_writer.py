"""A language model that writes synthetic examples: a real server, kills, budgets, and a real small
model.
"""

import json
import os
import signal
import time

import numpy as np
import pytest

from buckler.labels import LabelStore
from buckler.labels.ledger import Ledger
from buckler.synthesis import llm_generator
from buckler.synthesis.defanging import find_unsafe
from buckler.synthesis.filters import FilterSettings, filter_drafts
from buckler.synthesis.generate import GenerationSettings, generate_examples, spread_drafts
from buckler.synthesis.llm_generator import TEXTS_PER_CALL, LanguageModelGenerator
from buckler.synthesis.template import read_template
from buckler.tasks import get_task
from buckler.teachers.budget import Budget
from buckler.teachers.llm.chat import ChatSettings, ChatTeacher
from buckler.teachers.llm.gguf import GgufSettings, GgufTeacher
from tests.support.chat_server import chat_server
from tests.support.cli import buckler
from tests.support.forked_runs import ENDED, forked_runs
from tests.support.made_up import made_up_events
from tests.support.waiting import wait_until

pytest.importorskip("openai", reason="the extra 'llm' is not installed")
URL = get_task("url-threat")


def model(at, **settings):
    chosen = {"model": "m", "base_url": f"{at}/v1", "concurrency": 4, **settings}
    return ChatTeacher(URL, ChatSettings(**chosen))


def real():
    return made_up_events(300, np.random.default_rng(0))


def n_orders(asked):
    return sum(n for text, n in asked.items() if text.startswith("order "))


@pytest.fixture
def server(tmp_path):
    with chat_server(tmp_path) as running:
        yield running


def test_it_writes_to_order_once_and_what_it_writes_is_made_harmless(tmp_path, server):
    template = read_template(URL)
    wanted = GenerationSettings(100)
    with LabelStore(tmp_path / "labels.db") as store:
        writer = LanguageModelGenerator(model(server.url), template, real(), store)
        calls, estimate = writer.estimate(spread_drafts(template, wanted.n_drafts))
        assert calls == sum(
            -(-n // TEXTS_PER_CALL) for _, n in spread_drafts(template, wanted.n_drafts)
        )
        assert estimate.output_tokens > 0
        passed = generate_examples(writer, wanted)
        assert writer.account.calls == calls == n_orders(server.asked())
        again = LanguageModelGenerator(model(server.url), template, real(), store)
        assert generate_examples(again, wanted).synthetic_examples == passed.synthetic_examples
        assert again.account is None, "nothing was left to ask"
        assert n_orders(server.asked()) == calls
        spent = Ledger(store, URL, writer.annotator).spent()
        assert spent.input_tokens > 0
        assert spent.annotations == calls * TEXTS_PER_CALL
    assert len(passed.synthetic_examples) > 50
    for one in passed.synthetic_examples:
        assert "real-bank.com" not in one.text
        assert find_unsafe(one.text) is None
        assert one.seed_groups, "the seeds that it was shown are known"
    stored = (tmp_path / "labels.db").read_bytes()
    assert b"real-bank" not in stored, "drafts are stored encoded"


def test_an_order_says_what_is_wanted_and_fences_the_seeds(tmp_path, server):
    template = read_template(URL).matching({"lure": {"wallet"}, "hosting": {"free"}})
    with LabelStore(tmp_path / "labels.db") as store:
        list(
            LanguageModelGenerator(model(server.url), template, real(), store).drafts(
                spread_drafts(template, 5)
            )
        )
    (order,) = [t for t in server.asked() if t.startswith("order ")][:1]
    assert "Class: phishing" in order
    assert "wallet" in order


def test_a_budget_ends_the_writing_and_it_goes_on_later(tmp_path, server):
    template = read_template(URL)
    wanted = spread_drafts(template, 400)
    with LabelStore(tmp_path / "labels.db") as store:
        few = LanguageModelGenerator(
            model(server.url), template, real(), store, budget=Budget(tokens=8000)
        )
        first = list(few.drafts(wanted))
        assert few.account.stopped == "the budget is spent"
        assert few.account.spent.tokens <= 8000
        rest = LanguageModelGenerator(model(server.url), template, real(), store)
        every = list(rest.drafts(wanted))
        assert len(every) > len(first) > 0
        assert [d.text for d in first] == [d.text for d in every if d in first]
        assert n_orders(server.asked()) == few.account.calls + rest.account.calls


KILLED = """
import sys
from pathlib import Path

import numpy as np

from buckler.labels import LabelStore
from buckler.synthesis.generate import spread_drafts
from buckler.synthesis.llm_generator import LanguageModelGenerator
from buckler.synthesis.template import read_template
from buckler.tasks import get_task
from buckler.teachers.budget import Budget
from buckler.teachers.llm.chat import ChatSettings, ChatTeacher
from tests.support.made_up import made_up_events

url_threat = get_task("url-threat")
settings = ChatSettings(model="m", base_url=f"{sys.argv[1]}/v1", concurrency=4)
real = made_up_events(300, np.random.default_rng(0))
template = read_template(url_threat)
ChatTeacher(url_threat, settings).client.connect()  # which imports much
def run():
    with LabelStore(Path(sys.argv[2])) as store:
        model = ChatTeacher(url_threat, settings)
        generator = LanguageModelGenerator(model, template, real, store)
        list(generator.drafts(spread_drafts(template, 1500)))
"""


def test_kills_lose_no_text_that_was_paid_for(tmp_path):
    rng = np.random.default_rng(3)
    template = read_template(URL)
    n, kills = sum(-(-k // TEXTS_PER_CALL) for _, k in spread_drafts(template, 1500)), 6
    with (
        chat_server(tmp_path, delay=0.05) as server,
        forked_runs(KILLED, server.url, tmp_path / "a.db") as runs,
    ):
        for _ in range(kills):
            before, child = n_orders(server.asked()), runs.start()
            wait_until(lambda before=before: n_orders(server.asked()) > before)
            time.sleep(rng.uniform(0.02, 0.4))
            os.kill(child, signal.SIGKILL)
            assert runs.wait() == -signal.SIGKILL
        runs.start()
        assert runs.wait() == ENDED
        asked = n_orders(server.asked())
    with LabelStore(tmp_path / "a.db") as store:
        annotator = LanguageModelGenerator(model(server.url), template, real(), store).annotator
        assert len(Ledger(store, URL, annotator).drafts()) == n
    assert n <= asked <= n + kills * 4


def test_from_the_command_line_with_a_dry_run_first(tmp_path, server):
    import pyarrow.parquet as pq

    from tests.support.made_up import made_up_table

    pq.write_table(made_up_table(400, np.random.default_rng(0)), tmp_path / "real.parquet")
    (tmp_path / "chat.toml").write_text(f'model = "m"\nbase_url = "{server.url}/v1"\n')
    common = [
        "synthesize",
        tmp_path / "real.parquet",
        "-t",
        "url-threat",
        "-n",
        "60",
        "--generator",
        "chat",
    ]
    common += ["--settings", tmp_path / "chat.toml", "-s", tmp_path / "labels.db"]
    common += ["-o", tmp_path / "s.parquet", "--verifier", "none"]
    dry = buckler(*common, "--dry-run")
    assert dry.returncode == 0, dry.stderr
    assert "nothing was asked" in dry.stdout
    assert not server.asked()
    done = buckler(*common)
    assert done.returncode == 0, done.stderr
    assert "tokens" in done.stdout
    assert "synthetic examples of" in done.stdout
    shown = buckler("data", "show", tmp_path / "s.parquet", "-t", "url-threat", "-n", "3")
    assert shown.returncode == 0, shown.stderr
    assert ".example" in shown.stdout
    wrong = buckler(*common[:6], "--generator", "nobody", "-o", tmp_path / "x.parquet")
    assert wrong.returncode == 2
    assert "unknown generator" in wrong.stderr


@pytest.mark.slow
def test_a_real_small_model_writes_what_the_filters_pass_or_count(tmp_path, monkeypatch):
    """SmolLM2 writes poor synthetic examples; the form of its answers holds, and every draft is
    counted.
    """
    pytest.importorskip("xllamacpp", reason="the extra 'gguf' is not installed")
    monkeypatch.setattr(
        llm_generator, "TEXTS_PER_CALL", 1
    )  # it is slow, and long answers are slower
    template = read_template(URL).matching(
        {"lure": {"parcel"}, "hosting": {"own"}, "imitation": {"none"}}
    )
    with LabelStore(tmp_path / "labels.db") as store:
        writer = LanguageModelGenerator(GgufTeacher(URL, GgufSettings()), template, real(), store)
        drafts = list(writer.drafts(spread_drafts(template, 1)))
        assert writer.account.calls == 1
        passed = filter_drafts(drafts, writer, FilterSettings(), 5)
    assert sum(passed.report.rejects.values()) + len(passed.synthetic_examples) == len(drafts) <= 1
    json.loads(passed.report.model_dump_json())
