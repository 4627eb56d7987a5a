"""Replies as servers and models really give them: parts, reasoning, refusals, errors, waits."""

import json
import logging
import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buckler.errors import InputError, SettingsError
from buckler.labels import LabelStore
from buckler.tasks import get_task
from buckler.teachers.labeling import label
from buckler.teachers.llm import runner
from buckler.teachers.llm.anthropic import AnthropicSettings, AnthropicTeacher
from buckler.teachers.llm.chat import ChatSettings, ChatTeacher
from buckler.teachers.llm.client import CUT_OFF, read_choice
from tests.support.growth import assert_linear
from tests.support.paid_events import many, verdicts
from tests.support.scripted_server import scripted_server

pytest.importorskip("openai", reason="the extra 'llm' is not installed")
TASK = get_task("url-threat")
BENIGN, PHISHING = '{"label": "benign"}', '{"label": "phishing"}'


def completion(content, finish="stop", usage=True, logprobs=None, n=1, **message):
    choice = {"message": {"content": content, **message}, "finish_reason": finish}
    counts = {"prompt_tokens": 10, "completion_tokens": 5}
    return {
        "choices": [choice | ({"logprobs": logprobs} if logprobs else {})] * n,
        "usage": counts if usage else None,
    }


def ask(tmp_path, respond, n=2, **settings):
    """Label a few events; return the report, the labels that were stored, and all requests."""
    bodies = []

    def remember(body):
        bodies.append(body)
        found = respond(body)
        return found if isinstance(found, tuple) else (200, {}, found)

    with scripted_server(remember) as url, LabelStore(tmp_path / "a.db") as store:
        chosen = {"model": "m", "base_url": f"{url}/v1", "attempts": 2, "samples": 2} | settings
        who = ChatTeacher(TASK, ChatSettings(**chosen))
        report = label(many(tmp_path, n), who, store)
        stored = {TASK.class_names[k] for k, _ in verdicts(store, who).values()}
    return report, stored, bodies


@pytest.mark.parametrize(
    "content",
    [
        [{"type": "text", "text": BENIGN[:5]}, {"type": "text", "text": BENIGN[5:]}],
        [{"type": "thinking", "thinking": [{"type": "text", "text": PHISHING}]}, BENIGN],
        [{"type": "text", "text": {"value": BENIGN}}],
        {"label": "benign"},
        {"type": "text", "text": BENIGN},
        f"<think>\nMaybe {PHISHING}? No.\n</think>\n\n{BENIGN}",
        f"Maybe {PHISHING}? No.\n</think>{BENIGN}",
        f"[THINK]Maybe {PHISHING}[/THINK]```json\n{BENIGN}\n```",
        f"<|channel|>analysis<|message|>{PHISHING}<|end|><|start|>assistant<|channel|>final"
        f"<|message|>{BENIGN}",
        f"<think>a</think> The label: {BENIGN}",
        '{"why": "the page says </think> and <think>", "label": "benign"}',
        "<thinking>Hm.</thinking> **Benign.**",
        '{"label": "Benign."}',
        '{"why": "two\nlines", "label": "benign"}',
        json.dumps({"why": "cut \ud83d, zero \0", "label": "benign"}),
        "\ufeff" + BENIGN,
    ],
)
def test_an_answer_is_read_in_every_form(tmp_path, content):
    report, stored, _ = ask(tmp_path, lambda body: completion(content, n=body.get("n", 1)))
    assert (report.new, stored) == (2, {"benign"}), report.account.rejects


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (completion(f"<think>Such as {PHISHING}. But", "length"), "max_tokens"),
        (completion(f"<think>Such as {PHISHING}. But"), "reasoning without"),
        (completion(f"We need JSON such as {PHISHING}, so", "length"), "max_tokens"),
        (completion(f"<think>a</think><think>b {PHISHING}"), "reasoning without"),
        (completion("", "length", reasoning_content=PHISHING), "max_tokens"),
        (completion(None, reasoning=PHISHING), "reasoning without"),
        (completion('{"why": "a long reas', "length"), "max_tokens"),
        (completion(None, refusal="I cannot help with that."), "refused: I cannot"),
        (completion("", "content_filter"), "refused"),
        (completion("", "SAFETY"), "refused"),
        (completion(f"<think>Such as {PHISHING}", "MAX_TOKENS"), "max_tokens"),
        (completion('{"label": "benign", "label": "phishing"}'), "no JSON"),
        (completion(7), "no JSON"),
    ],
)
def test_a_draft_or_a_refusal_is_never_an_answer(tmp_path, reply, reason):
    report, stored, _ = ask(tmp_path, lambda _: reply)
    assert not stored and report.silent == 2
    assert reason in next(iter(report.account.rejects)), report.account.rejects


@pytest.mark.parametrize("settings", [{}, {"max_tokens": 500}])
def test_a_model_that_reasons_gets_more_tokens_and_every_call_is_charged(tmp_path, settings):
    def respond(body):
        if body["max_tokens"] < 400:
            return completion("", "length", reasoning_content="Let me think")
        return completion(BENIGN, reasoning_content="Let me think", n=body.get("n", 1))

    report, stored, bodies = ask(tmp_path, respond, concurrency=1, **settings)
    assert stored == {"benign"} and report.new == 2
    wasted = 0 if settings else 1
    assert sum(b["max_tokens"] < 400 for b in bodies) == wasted
    assert report.account.spent.input_tokens == 10 * len(bodies)


def test_a_limit_that_the_server_does_not_take_is_lowered(tmp_path):
    def respond(body):
        if body["max_tokens"] > 4096:
            return 400, {}, {"error": {"message": "max_tokens is too large: at most 4096"}}
        if body["max_tokens"] < 1000:
            return completion("<think>Hm", "length")
        return completion(f"<think>Hm</think>{BENIGN}", n=body.get("n", 1))

    report, stored, _ = ask(tmp_path, respond)
    assert stored == {"benign"} and not report.account.rejects


@pytest.mark.parametrize(
    "logprobs",
    [[1, 2], {"content": [{"token": "a", "logprob": None}]}, {"tokens": ["a"]}, {"content": 5}],
)
def test_log_probabilities_that_make_no_sense_cost_no_answer(tmp_path, logprobs):
    report, stored, _ = ask(tmp_path, lambda _: completion(BENIGN, logprobs=logprobs))
    assert stored == {"benign"} and report.new == 2


@pytest.mark.parametrize("form", ["{}", '{{"error": {}}}', '{{"error": {{"message": {}}}}}'])
def test_a_refusal_in_any_form_is_understood(tmp_path, form):
    def respond(body):
        if "logprobs" in body:
            return 400, {}, form.format('"no logprobs here"').encode()
        return completion(BENIGN, n=body.get("n", 1))

    assert ask(tmp_path, respond)[0].new == 2


@pytest.mark.parametrize("status", [400, 403, 422, 501])
def test_a_server_that_refuses_log_probabilities_is_asked_for_samples(tmp_path, status):
    def respond(body):
        if "max_tokens" in body:
            return 400, {}, {"error": {"message": "use 'max_completion_tokens' instead"}}
        if "logprobs" in body:
            return status, {}, {"error": {"message": "You may not request logprobs"}}
        if body.get("temperature", 1) != 1:
            return 400, {}, {"error": {"message": "'temperature' does not support 0"}}
        return completion(BENIGN, n=body.get("n", 1))

    report, stored, _ = ask(tmp_path, respond)
    assert stored == {"benign"} and report.new == 2


def test_probabilities_are_those_of_the_answer_and_not_of_the_reasoning(tmp_path):
    def tokens(text, p):
        other = {"token": "phishing", "logprob": -2.3026}
        for part in re.split(r"(benign|phishing)", text):
            yield {"token": part, "logprob": -0.1054 if p else -0.0001, "top_logprobs": [other]}

    draft, answer = f"<think>{PHISHING} or {PHISHING}</think>", BENIGN
    logprobs = {"content": [*tokens(draft, 0), *tokens(answer, 1)]}
    report, _, _ = ask(tmp_path, lambda _: completion(draft + answer, logprobs=logprobs))
    assert report.probabilities[:, 0].round(1).tolist() == [0.9, 0.9]


@pytest.mark.parametrize(
    ("reply", "error", "message"),
    [
        ({"error": {"message": "Provider returned error", "code": 502}}, InputError, "Provider"),
        ({"error": {"message": "no such key", "code": 401}}, SettingsError, "API key"),
        ({"error": {"code": "insufficient_quota"}}, InputError, "out of credit"),
        ({"error": "busy"}, InputError, "busy"),
        ({"choices": [{"error": {"message": "broke", "code": 500}}]}, InputError, "broke"),
        ({"choices": []}, InputError, "without a choice"),
        ({"choices": None}, InputError, "without a choice"),
        ({"choices": [{"message": None}]}, InputError, "no chat completion"),
        ({"detail": "starting"}, InputError, "starting"),
        (b"<html>log in to the network</html>", InputError, "does not answer"),
        (b"[" * 100_000, InputError, "does not answer"),
    ],
)
def test_an_error_inside_a_sound_reply_is_an_error(tmp_path, monkeypatch, reply, error, message):
    monkeypatch.setattr(runner.random, "uniform", lambda *_: 0.01)
    with pytest.raises(error, match=message):
        ask(tmp_path, lambda _: reply, n=8)


def test_an_event_that_moderation_refuses_does_not_end_the_run(tmp_path):
    flagged = {"error": {"message": "Your input was flagged by moderation", "code": 403}}

    def respond(body):
        text = json.dumps(body["messages"])
        return (403, {}, flagged) if "login-0" in text else completion(BENIGN, n=body.get("n", 1))

    report, _, _ = ask(tmp_path, respond, n=4)
    assert report.new == 3 and "refused" in next(iter(report.account.rejects))


@pytest.mark.parametrize("after", ["86400", "inf", "1e9", "Fri, 01 Jan 2100 00:00:00 GMT"])
def test_a_wait_beyond_the_limit_ends_the_run_with_its_length(tmp_path, after):
    with pytest.raises(InputError, match=r"asks to wait (inf|[\d,]{6,}) s"):
        ask(tmp_path, lambda _: (429, {"Retry-After": after}, {}))


@pytest.mark.parametrize("after", ["nan", "soon", "-5", "0", "", "Fri, 99 Zzz 2100"])
def test_a_wait_that_makes_no_sense_is_a_usual_retry(tmp_path, monkeypatch, after):
    monkeypatch.setattr(runner.random, "uniform", lambda *_: 0.01)
    replies = iter([(429, {"Retry-After": after}, {})])
    respond = lambda body: next(replies, completion(BENIGN, n=body.get("n", 1)))  # noqa: E731
    assert ask(tmp_path, respond, concurrency=1)[0].new == 2


def test_a_wait_is_shown(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(runner, "_SHOWN_WAIT_S", 0.2)
    date = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + 3))
    replies = iter([(429, {"Retry-After": date}, {})])
    respond = lambda body: next(replies, completion(BENIGN, n=body.get("n", 1)))  # noqa: E731
    with caplog.at_level(logging.WARNING):
        assert ask(tmp_path, respond, concurrency=1)[0].new == 2
    assert re.search(r"m asks to wait \d s", caplog.text)


@pytest.mark.parametrize(
    ("message", "outcome"),
    [
        ({"content": [{"type": "tool_use", "input": {"label": "benign"}}]}, "benign"),
        (
            {
                "content": [
                    {"type": "thinking", "thinking": PHISHING},
                    {"type": "text", "text": BENIGN},
                ]
            },
            "benign",
        ),
        (
            {"content": [{"type": "text", "text": f"<thinking>{PHISHING}</thinking>{BENIGN}"}]},
            "benign",
        ),
        (
            {"content": [{"type": "text", "text": PHISHING[:-3]}], "stop_reason": "max_tokens"},
            CUT_OFF,
        ),
        ({"content": [], "stop_reason": "refusal"}, "refused"),
        ({"content": [{"type": "tool_use", "input": {"label": "\ud83d"}}]}, "no class"),
    ],
)
def test_messages_of_anthropic_are_read_alike(tmp_path, message, outcome):
    usage = {"input_tokens": 10, "output_tokens": 5}
    reply = {"id": "x", "type": "message", "role": "assistant", "model": "m", "usage": usage}
    with (
        scripted_server(lambda _: (200, {}, reply | message)) as url,
        LabelStore(tmp_path / "a.db") as store,
    ):
        settings = AnthropicSettings(model="m", base_url=url, hosted=False, samples=1)
        report = label(many(tmp_path, 1), AnthropicTeacher(TASK, settings), store)
    if outcome == "benign":
        assert report.new == 1
    else:
        assert outcome in next(iter(report.account.rejects))


WORDS = st.sampled_from(
    ["<think>", "</think>", "[THINK]", "[/THINK]", "<|channel|>final<|message|>", "{", "[", '"']
) | st.text(max_size=5)


@given(st.recursive(WORDS | st.none() | st.integers(), st.lists), st.booleans())
def test_any_content_gives_an_answer_without_an_open_reasoning(content, is_cut):
    choice = read_choice(content, is_cut=is_cut)
    choice.content.encode()
    starts_with_json = re.match(r"\s*(```\w{0,9}\s*)?[{\[]", choice.content)
    assert starts_with_json or "<think>" not in choice.content
    assert not is_cut or choice.problem == CUT_OFF


def test_reading_a_hostile_answer_takes_linear_time():
    for unit in ("<think ", "</think>", "<|channel|>final ", "```a ", "[ ", "\u25c1think"):
        assert_linear(read_choice, unit, 800_000)
