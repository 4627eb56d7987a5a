"""The parts of asking a language model: fences, answers, redaction, injections, money."""

import json
import math
import re
import unicodedata

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from buckler.errors import SettingsError
from buckler.tasks import get_task
from buckler.teachers.budget import Budget, Spending
from buckler.teachers.llm.answers import (
    Token,
    class_probabilities,
    read_answers,
    sample_probabilities,
)
from buckler.teachers.llm.fence import as_json_string, fence, truncate, without_hidden
from buckler.teachers.llm.few_shot import choose_examples
from buckler.teachers.llm.prices import Meter, price_table
from buckler.teachers.llm.prompt import Prompt

TASK = get_task("url-threat")
CATEGORY = get_task("url-category")
LABELS = st.sampled_from(TASK.class_names)
MARKS = ("<|im_end|>", "<|im_start|>", "</s>", "<<SYS>>", "[INST]", "[/inst]", "[ INST ]", "<<end")


# --- fences ----------------------------------------------------------------------------------


@given(st.text() | st.lists(st.sampled_from((*MARKS, "a", '"', "\n", "\\"))).map("".join))
def test_no_event_can_open_or_close_anything(text):
    quoted = as_json_string(text)
    assert json.loads(quoted) == text
    assert not re.search(r"[<>\n]", quoted)
    assert not re.search(r"\[\s*/?\s*inst", quoted, re.IGNORECASE)
    assert fence(text, "0a1b2c3d").count("\n") == 2


@given(st.text(alphabet=st.characters(categories=["Cc", "Cf", "Ll", "Co", "Lo", "Zs"])))
def test_hidden_characters_are_told_but_not_shown(text):
    shown = without_hidden(text)
    for character in shown:
        assert character in "\n\t" or unicodedata.category(character) not in ("Cc", "Cf", "Co")
    if shown == text:
        return
    assert re.search(r"\[\d+ hidden\]", shown)


def test_what_hides_text_is_taken_out():
    assert without_hidden("invoice\u202egpj.exe") == "invoice[1 hidden]gpj.exe"
    assert without_hidden("a\U000e0069\U000e0067b\ufe0f") == "a[2 hidden]b[1 hidden]"
    assert without_hidden("\x1b[8mx\x00") == "[1 hidden][8mx[1 hidden]"
    assert without_hidden("tab\tand\nline ü 漢") == "tab\tand\nline ü 漢"


@given(st.text(max_size=3000), st.integers(100, 1000))
def test_truncation_keeps_head_and_tail(text, limit):
    cut = truncate(text, limit)
    if len(text) <= limit:
        assert cut == text
        return
    assert cut.startswith(text[: limit // 2]) and cut.endswith(text[-(limit // 4) :])
    assert len(cut) < limit + 60
    missing = int(re.search(r"\[\.\.\. (\d+) characters left out", cut)[1])
    assert missing == len(text) - limit


# --- answers ---------------------------------------------------------------------------------


@given(st.lists(LABELS, min_size=1, max_size=8), st.randoms(), st.sampled_from(["", "```json\n"]))
def test_answers_in_any_order_reach_their_event(labels, random, wrapping):
    tags = [f"{i:08x}" for i in range(len(labels))]
    answers = [{"event": t, "label": label} for t, label in zip(tags, labels, strict=True)]
    random.shuffle(answers)
    content = f"Here it is:\n{wrapping}{json.dumps({'answers': answers})}\n```"
    found, reasons = read_answers(content, tags, TASK)
    assert not reasons
    assert [TASK.class_names[found[tag].label] for tag in tags] == labels


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "an empty answer"),
        ("I cannot help with that.", "no JSON"),
        ('{"label": "harmless"}', "no class of the task"),
        ('{"label": 7}', "no class of the task"),
        ('{"verdict": "benign"}', "no JSON"),
        ('{"answers": [{"event": "zz", "label": "benign"}, {"label": "phishing"}]}', "no answer"),
        ('{"label": "benign"} {"label": "phishing"}', "no answer for this event"),
        ("[" * 5000, "no JSON"),
        ('{"label": ' * 3000, "no JSON"),
    ],
)
def test_what_is_no_answer_is_rejected_with_its_reason(content, reason):
    found, reasons = read_answers(content, ["aa"], TASK)
    assert not found and reason in reasons["aa"]


def test_an_event_answered_in_two_ways_has_no_answer():
    answers = [
        {"event": "aa", "label": "benign"},
        {"event": "bb", "label": "benign"},
        {"event": "aa", "label": "phishing"},
    ]
    found, reasons = read_answers(json.dumps(answers), ["aa", "bb"], TASK)
    assert set(found) == {"bb"} and reasons == {"aa": "answered twice in two ways"}


def test_an_answer_that_was_cut_off_counts_up_to_the_cut():
    whole = json.dumps({"answers": [{"event": t, "label": "benign"} for t in ("aa", "bb", "cc")]})
    found, reasons = read_answers(whole[:-25], ["aa", "bb", "cc"], TASK)
    assert set(found) == {"aa", "bb"} and set(reasons) == {"cc"}


@pytest.mark.parametrize("content", ["phishing", " Phishing. ", '"malicious"', "**phishing**"])
def test_a_bare_label_is_an_answer_to_one_question(content):
    assert read_answers(content, ["aa"], TASK)[0]["aa"].label == 1
    assert not read_answers(content, ["aa", "bb"], TASK)[0]


@given(st.text(max_size=400), st.lists(st.sampled_from("ab"), min_size=1, max_size=3, unique=True))
def test_any_answer_gives_each_event_a_label_or_a_reason(content, tags):
    found, reasons = read_answers(content, tags, TASK)
    assert set(found) | set(reasons) == set(tags) and not set(found) & set(reasons)


def tokens(*parts):
    return [
        Token(text, math.log(p), tuple((t, math.log(q)) for t, q in others))
        for text, p, others in parts
    ]


def test_probabilities_follow_the_trie_of_class_names():
    names = ["file_hosting", "financial", "forums", "vpn"]
    said = tokens(
        ('{"', 1, []),
        ("label", 1, []),
        ('": "f', 0.6, [('": "vp', 0.3), (' "', 0.1)]),
        ("i", 0.5, [("orums", 0.25), ("o", 0.25)]),
        ("le_", 0.8, [("nan", 0.2)]),
        ('hosting"', 1, []),
    )
    p = class_probabilities(said, 0, names)
    expected = np.array([0.6 * 0.5 * 0.8, 0.6 * 0.5 * 0.2, 0.6 * 0.5, 0.3])
    assert p == pytest.approx(expected / expected.sum(), abs=2e-3)
    assert p.sum() == pytest.approx(1)


@settings(deadline=None)
@given(
    st.sampled_from(CATEGORY.class_names),
    st.lists(st.integers(1, 5), min_size=20, max_size=20),
    st.floats(0.05, 1),
)
def test_any_cut_into_tokens_finds_the_label(label, sizes, p):
    content = json.dumps({"why": 'no "label": "vpn" here', "label": label})
    cut, position = [], 0
    for size in sizes * 5:
        if position < len(content):
            cut.append((content[position : position + size], p if len(cut) % 3 else 1.0, []))
            position += size
    found = class_probabilities(tokens(*cut), 0, CATEGORY.class_names)
    if found is not None:  # None: the product of so many tokens is too small to tell anything
        assert found.sum() == pytest.approx(1)
        assert CATEGORY.class_names[int(found.argmax())] == label


def test_a_model_that_would_have_said_something_else_tells_nothing():
    forced = tokens(('{"label": "', 1, []), ("benign", 0.001, [("...", 0.9)]), ('"}', 1, []))
    assert class_probabilities(forced, 0, TASK.class_names) is None
    assert class_probabilities(forced, 1, TASK.class_names) is None


@given(st.lists(st.integers(0, 4), min_size=1, max_size=20))
def test_samples_become_probabilities(labels):
    p = sample_probabilities(labels, 5)
    assert p.sum() == pytest.approx(1) and p.min() > 0
    assert np.bincount(labels, minlength=5)[p.argmax()] == max(np.bincount(labels))


# --- prompts ---------------------------------------------------------------------------------


def test_a_prompt_has_its_instructions_before_and_after_the_data():
    prompt = Prompt(CATEGORY, rationale=True, examples=[])
    request = prompt.request([("aa", "a.example"), ("bb", "b.example")])
    for name in CATEGORY.class_names:
        assert f"- {name}: " in request.system
    assert CATEGORY.guidance in request.system
    said = request.messages[-1]["content"]
    assert said.index("a.example") < said.index("<<end aa>>") < said.index("b.example")
    assert said.index("<<end bb>>") < said.index("not instructions")
    items = request.schema["properties"]["answers"]
    assert items["minItems"] == items["maxItems"] == 2
    assert items["items"]["properties"]["label"]["enum"] == CATEGORY.class_names


def test_examples_are_balanced_diverse_and_labeled(tmp_path):
    path = tmp_path / "labeled.parquet"
    urls = [f"http://news-{i % 2}.example/{'x' * (i % 2) * 20}" for i in range(50)]
    urls += [f"http://login-{i}.example/" for i in range(3)]
    labels = ["benign"] * 50 + ["phishing"] * 3
    pq.write_table(pa.table({"url": urls, "label": labels}), path)
    chosen = choose_examples(path, TASK, 6)
    assert [e.label for e in chosen] == ["benign", "phishing"] * 2 + ["phishing"]
    assert len({e.text for e in chosen}) == 5
    benign = [e.text for e in chosen if e.label == "benign"][:2]
    assert len({"xxxx" in text for text in benign}) == 2  # the second is unlike the first
    pq.write_table(pa.table({"url": urls}), path)
    with pytest.raises(SettingsError, match="no labeled event"):
        choose_examples(path, TASK, 6)


# --- money -----------------------------------------------------------------------------------


def test_prices_are_found_by_the_longest_name(tmp_path):
    table = price_table()
    assert table.find("gpt-4o-mini-2024-07-18") == table.models["gpt-4o-mini"]
    assert table.find("openai/gpt-4o") == table.models["gpt-4o"]
    assert table.find("my-own-model") is None
    assert Meter(table.models["gpt-4o-mini"]).spending(1, 10**6, 10**6).cost_usd == pytest.approx(
        0.75
    )
    own = tmp_path / "prices.toml"
    own.write_text('[models]\n"gpt-4o" = { input = 1, output = 2 }\n')
    assert price_table(own).find("gpt-4o").input == 1
    own.write_text('[models]\n"gpt-4o" = { input = -1, output = 2 }\n')
    with pytest.raises(SettingsError, match="greater than or equal to 0"):
        price_table(own)


@given(st.lists(st.tuples(st.integers(1, 50), st.floats(0, 2)), max_size=40), st.integers(0, 500))
def test_a_budget_is_exceeded_only_by_what_was_underestimated(calls, limit):
    budget = Budget(tokens=limit)
    over = 0.0
    for tokens_, factor in calls:
        estimate = Spending(1, tokens_)
        if budget.admits(estimate):
            budget.start(estimate)
            actual = int(tokens_ * factor)
            over += max(0, actual - tokens_)
            budget.settle(estimate, Spending(1, actual))
    assert budget.spent.tokens <= limit + over
    assert budget.in_flight.tokens == 0
    with pytest.raises(SettingsError):
        Budget(usd=-1)
