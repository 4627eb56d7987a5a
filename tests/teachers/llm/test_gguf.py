"""A real language model in this process, on real events."""

import asyncio

import numpy as np
import pytest

from buckler.dataset import read_dataset
from buckler.errors import SettingsError
from buckler.labels import LabelStore
from buckler.tasks import get_task
from buckler.teachers.labeling import label
from buckler.teachers.llm.gguf import GgufSettings, GgufTeacher, packaged_weights
from tests.support.cli import buckler
from tests.support.fault_proxy import fault_proxy
from tests.support.few_rows import few_rows

pytest.importorskip("xllamacpp", reason="the extra 'gguf' is not installed")
try:
    packaged_weights()
except SettingsError as error:
    pytest.skip(str(error), allow_module_level=True)

DATA = [
    ("url-threat", "url/threat-test.parquet"),
    ("command-line", "command_line/test.parquet"),
    ("email", "email/test.parquet"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "file"), DATA)
def test_a_real_model_judges_real_events(tmp_path, real_data, name, file):
    task = get_task(name)
    events = read_dataset([few_rows(real_data / file, tmp_path, 8)], task)
    who = GgufTeacher(task, GgufSettings(max_characters=600, samples=2))
    assert not who.client.hosted and not who.redacts
    with LabelStore(tmp_path / "a.db") as store:
        result = label(events, who, store)
        assert (result.new, result.account.rejects) == (8, {})
        assert result.account.spent.input_tokens > 1000
        assert result.account.spent.cost_usd == 0
        p = result.probabilities
        # Probabilities of its own, that depend on the event.
        assert len(np.unique(p.round(6), axis=0)) > 4
        assert ((p > 0) & (p < 1)).all()
        again = label(events, who, store)
        assert (again.known, again.account.calls) == (8, 0)


@pytest.mark.slow
def test_several_events_in_a_call_in_the_form_that_the_grammar_forces(tmp_path, real_data):
    task = get_task("url-threat")
    events = read_dataset([few_rows(real_data / "url/threat-test.parquet", tmp_path, 6)], task)
    who = GgufTeacher(task, GgufSettings(events_per_call=2, rationale=True, samples=1))
    with LabelStore(tmp_path / "a.db") as store:
        result = label(events, who, store)
        # A model this small cannot copy tags; what it mixes up is asked again one by one.
        assert result.new + sum(result.account.rejects.values()) == 6
        assert result.new >= 4


@pytest.mark.slow
def test_faults_between_a_real_model_and_us(tmp_path, real_data):
    task = get_task("url-threat")
    events = read_dataset([few_rows(real_data / "url/threat-test.parquet", tmp_path, 12)], task)
    who = GgufTeacher(task, GgufSettings(samples=1, attempts=12))
    port = int(who.client.serve().rsplit(":", 1)[1])
    faults = ("429", "500", "reset", "reset-after", "truncated", "malformed", "empty")
    with fault_proxy(port, faults, share=0.4) as proxy:
        who.client.serve = lambda: proxy.url
        with LabelStore(tmp_path / "a.db") as store:
            result = label(events, who, store)
            assert sum(proxy.met.values()) >= 3
            assert result.new + result.silent == 12 and result.new >= 9


def test_from_the_command_line_without_any_settings(tmp_path, real_data):
    path = few_rows(real_data / "url/threat-test.parquet", tmp_path, 40)
    result = buckler(
        *("label", path, "--task", "url-threat"),
        *("--teacher", "gguf", "--sample", "4", "--store", tmp_path / "a.db"),
    )
    assert result.returncode == 0, result.stderr
    assert "SmolLM2-135M-Instruct" in result.stdout and "4 new annotations" in result.stdout


def test_what_is_no_model_is_said(tmp_path):
    task = get_task("url-threat")
    with pytest.raises(SettingsError, match="no such file"):
        GgufTeacher(task, GgufSettings(path=tmp_path / "x.gguf"))
    (tmp_path / "x.gguf").write_bytes(b"GGUF but not really" * 100)
    result = buckler_label_with(tmp_path)
    assert result.returncode == 2 and "llama.cpp cannot load it" in result.stderr


def buckler_label_with(tmp_path):
    (tmp_path / "gguf.toml").write_text('path = "x.gguf"\n')
    (tmp_path / "e.csv").write_text("url\nhttp://a.example/\n")
    return buckler(
        *("label", tmp_path / "e.csv", "--task", "url-threat", "--teacher", "gguf"),
        *("--settings", tmp_path / "gguf.toml", "--store", tmp_path / "a.db"),
    )


def test_the_server_is_closed_to_others():
    import openai

    who = GgufTeacher(get_task("url-threat"), GgufSettings())
    url = who.client.serve()
    assert url.startswith("http://127.0.0.1:")
    client = openai.OpenAI(base_url=f"{url}/v1", api_key="guess", max_retries=0)
    with pytest.raises(openai.AuthenticationError):
        client.chat.completions.create(model="m", messages=[{"role": "user", "content": "x"}])
    asyncio.run(who.client.aclose())
