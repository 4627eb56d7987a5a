import json

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from buckler.dataset import ColumnNames, Dataset, UnknownLabels, read_dataset
from buckler.dataset.splits import (
    Leaks,
    OnLeak,
    check_leaks,
    deduplicate,
    earlier_near_duplicates,
    find_leaks,
    minhash,
    near_duplicates_of,
    split_by_group,
    split_by_time,
)
from buckler.errors import InputError, LeakError, SettingsError
from buckler.normalize import NormalizedTexts
from buckler.readers.quarantine import Quarantine
from buckler.tasks import get_task
from buckler.tasks.task import group_of, registered_domain
from buckler.training.cross_validation import assign_folds
from tests.support.made_up import dataset_of, made_up_events, made_up_table

URL_THREAT = get_task("url-threat")

M32, M64 = (1 << 32) - 1, (1 << 64) - 1


def collect(tmp_path, table, task=URL_THREAT, **options):
    path = tmp_path / "events.parquet"
    pq.write_table(table, path)
    return read_dataset([path], task, **options)


def urls(*texts, labels=None, groups=None):
    table = {"url": list(texts)}
    if labels is not None:
        table["label"] = labels
    if groups is not None:
        table["group"] = groups
    return pa.table(table)


def test_events_carry_labels_groups_and_times(tmp_path):
    table = pa.table(
        {
            "url": ["http://a.co.uk/x", "https://WWW.b.github.io", "http://1.2.3.4/"],
            "label": ["benign", "Phishing", "malicious"],
            "ts": [0, 1_700_000_000, 5],
        }
    )
    events = collect(tmp_path, table)
    assert events.labels.tolist() == [0, 1, 1]
    assert events.groups.tolist() == ["a.co.uk", "b.github.io", "1.2.3.4"]
    assert events.column("ts").tolist() == [None, 1_700_000_000, 5]
    assert events.texts[1].startswith(b"b.github.io\x1f\x1f")
    assert len(set(events.column("id"))) == 3


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".jsonl"])
def test_times_are_read_however_they_are_written(tmp_path, suffix):
    rows = [
        ("2026-01-02T03:04:05Z", 1767323045),
        ("2026-01-02 04:04:05+01:00", 1767323045),
        ("1767323045", 1767323045),
        ("1767323045.9", 1767323045),
        ("0", None),
        ("soon", None),
        ("", None),
    ]
    path = tmp_path / f"times{suffix}"
    table = pa.table(
        {"url": [f"http://h{i}.example/" for i in range(7)], "ts": [r[0] for r in rows]}
    )
    if suffix == ".parquet":
        pq.write_table(table, path)
    elif suffix == ".csv":
        pa.csv.write_csv(table, path)
    else:
        path.write_text(
            "\n".join(json.dumps(row) for row in table.to_pylist()) + '\n{"url": "x", "ts": 7}'
        )
    events = read_dataset([path], URL_THREAT)
    assert events.column("ts").tolist()[:7] == [r[1] for r in rows]
    assert suffix != ".jsonl" or events.column("ts").tolist()[7] == 7


def test_a_label_outside_the_task_is_set_aside_and_counted_where_asked(tmp_path):
    quarantine = Quarantine()
    table = urls("http://a.example", "http://b.example", labels=["benign", "weird"])
    columns = ColumnNames(unknown_labels=UnknownLabels.SET_ASIDE)
    events = collect(tmp_path, table, columns=columns, quarantine=quarantine)
    assert len(events) == 1
    assert quarantine.reasons == {"label 'weird' is no class of url-threat": 1}


@pytest.mark.parametrize("odd", ["weird", "phish ing", "2", "nan"])
def test_a_label_outside_the_task_is_an_error_that_names_row_and_classes(tmp_path, odd):
    table = urls("http://a.example", "http://b.example", labels=["benign", odd])
    with pytest.raises(InputError, match=r"benign, phishing.*set-aside") as raised:
        collect(tmp_path, table)
    assert (raised.value.row, raised.value.field) == (2, "label_map")
    assert raised.value.path == tmp_path / "events.parquet"


def test_labels_outside_the_task_do_not_matter_where_labels_are_not_read(tmp_path):
    table = urls("http://a.example", labels=["weird"])
    assert collect(tmp_path, table, labeled=False).labels.tolist() == [-1]


def test_unlabeled_rows_are_kept_without_a_label(tmp_path):
    events = collect(
        tmp_path, urls("http://a.example", "http://b.example", labels=[None, "benign"])
    )
    assert events.labels.tolist() == [-1, 0]


def test_data_without_a_usable_row_is_refused(tmp_path):
    with pytest.raises(InputError, match="no usable row"):
        collect(tmp_path, urls("", ""))
    with pytest.raises(InputError, match="no column named nothing"):
        collect(tmp_path, urls("http://a.example"), columns=ColumnNames(label="nothing"))


@pytest.mark.parametrize(
    ("host", "domain"),
    [
        (b"a.b.example.co.uk", "example.co.uk"),
        (b"x.github.io", "x.github.io"),
        (b"github.io", "github.io"),
        (b"10.0.0.1:8080", "10.0.0.1"),
        (b"localhost", "localhost"),
        ("münchen.de".encode(), "xn--mnchen-3ya.de"),
        (b"\xff\xfe", "\ufffd\ufffd"),
        (b"", ""),
        (b"a" * 300, "a" * 253),
    ],
)
def test_registered_domains(host, domain):
    assert registered_domain(host) == domain


def test_the_group_of_a_mail_is_its_senders_domain():
    mail = b"Subject: x\r\nFrom: A <a@mail.shop.co.uk>\r\n\r\nFrom: b@other.example"
    assert group_of(mail, b"", "sender-domain") == "shop.co.uk"
    assert group_of(b"Subject: x\n\n", b"", "sender-domain") is None


def test_repeated_texts_are_merged_by_majority(tmp_path):
    table = urls(
        "http://a.example/",
        "https://www.a.example",
        "HTTP://A.EXAMPLE",
        "http://b.example",
        labels=["benign", "phishing", "phishing", "benign"],
    )
    found = deduplicate(collect(tmp_path, table), near=False)
    assert (len(found.events), found.exact, found.conflicting) == (2, 2, 1)
    assert found.events.labels.tolist() == [1, 0]


def test_the_majoritys_label_is_the_one_that_is_stored(tmp_path):
    table = urls(
        "http://a.example/",
        "https://a.example",
        "http://a.example",
        "http://b.example",
        labels=["benign", "phishing", "phishing", None],
    )
    kept = deduplicate(collect(tmp_path, table), near=False).events
    assert kept.label_names.tolist() == ["phishing", None]
    kept.save(tmp_path / "kept.arrow")
    again = Dataset.load(tmp_path / "kept.arrow", URL_THREAT)
    assert again.labels.tolist() == kept.labels.tolist() == [1, -1]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(-1, 2)), min_size=1, max_size=30))
def test_one_event_a_text_with_a_label_that_most_gave_it(pairs):
    texts = NormalizedTexts.from_bytes([t.encode() for t, _ in pairs])
    labels = np.array([label for _, label in pairs], np.int32)
    found = deduplicate(dataset_of(texts, labels, 3), near=False)
    assert sorted(found.events.texts[i] for i in range(len(found.events))) == sorted(
        {t.encode() for t, _ in pairs}
    )
    conflicting = 0
    for i in range(len(found.events)):
        given_labels = [x for t, x in pairs if t.encode() == found.events.texts[i] and x >= 0]
        conflicting += len(set(given_labels)) > 1
        most = max(map(given_labels.count, given_labels), default=0)
        winners = [x for x in given_labels if given_labels.count(x) == most]
        assert found.events.labels[i] == (winners[0] if winners else -1)
    assert found.conflicting == conflicting


def test_near_duplicates_with_the_same_label_go():
    base = "http://example.com/a-rather-long-path-that-hardly-changes/page?session="
    texts = NormalizedTexts.from_bytes(
        [f"{base}{'x' * 40}{i}".encode() for i in range(3)] + [b"http://other.example/"]
    )
    assert earlier_near_duplicates(minhash(texts)).tolist() == [-1, 0, 0, -1]
    assert near_duplicates_of(minhash(texts), minhash(texts)[:1]).tolist() == [0, 0, 0, -1]


def mix(x):
    """The mixer of splitmix64."""
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9 & M64
    x = (x ^ x >> 27) * 0x94D049BB133111EB & M64
    return x ^ x >> 31


@settings(max_examples=60, deadline=None)
@given(st.lists(st.binary(max_size=40), max_size=8))
def test_signatures_are_the_least_hashes_of_runs_of_five_bytes(batch):
    for text, signature in zip(batch, minhash(NormalizedTexts.from_bytes(batch)), strict=True):
        runs = {text[i : i + 5] for i in range(max(1, len(text) - 4))} if text else set()
        runs = {int.from_bytes(bytes([len(run)]) + run, "big") for run in runs}
        hashes = {mix(run) & M32 for run in runs}
        orders = [(mix(k % 16) & M32 | 1, k // 16 << 29) for k in range(128)]
        least = [min([a * x + b & M32 for x in hashes] or [M32]) for a, b in orders]
        assert signature.tolist() == least


def test_the_share_of_equal_numbers_estimates_the_share_of_equal_runs():
    rng = np.random.default_rng(1)
    wholes = [rng.integers(97, 123, 80, np.uint8).tobytes() for _ in range(300)]
    others = [text[: rng.integers(40, 80)] for text in wholes]
    pair = [minhash(NormalizedTexts.from_bytes(texts)) for texts in (wholes, others)]
    shared = np.array([(len(other) - 4) / 76 for other in others])
    error = (pair[0] == pair[1]).mean(axis=1) - shared
    assert abs(error.mean()) < 0.01
    assert np.sqrt((error**2 / (shared * (1 - shared) + 1e-3)).mean()) < 128**-0.5


def test_bounds_outside_the_data_are_refused():
    data = np.frombuffer(b"abcdef", np.uint8)
    for bounds in ([0, 7], [0, 4, 2], [-1, 2]):
        with pytest.raises(ValueError, match="not in the data"):
            minhash(NormalizedTexts(np.array(bounds, np.int64), data))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.binary(max_size=60), min_size=1, max_size=30))
def test_equal_texts_are_near_duplicates_of_each_other(batch):
    texts = NormalizedTexts.from_bytes(batch + batch)
    found = near_duplicates_of(minhash(texts), minhash(NormalizedTexts.from_bytes(batch)))
    assert all(found[i] >= 0 for i, text in enumerate(batch + batch) if text)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.binary(max_size=30), max_size=20), st.data())
def test_taking_rows_takes_their_texts(batch, data):
    texts = NormalizedTexts.from_bytes(batch)
    rows = data.draw(st.lists(st.integers(0, max(0, len(batch) - 1)), max_size=20)) if batch else []
    taken = texts.take(np.array(rows, np.intp))
    assert [taken[i] for i in range(len(taken))] == [batch[r] for r in rows]


def test_no_group_stands_on_both_sides_and_its_side_is_stable():
    events = made_up_events(1000, np.random.default_rng(1))
    split = split_by_group(events, 0.3, seed=1)
    names = events.groups
    assert not set(names[split.left]) & set(names[split.right])
    assert 0.2 < len(split.right) / 1000 < 0.4
    again = split_by_group(events.take(np.arange(500)), 0.3, seed=1)
    side = set(names[split.right])
    assert all((names[r] in side) for r in again.right)
    # A side is split again by another draw; the same one would leave nothing on its right.
    left = events.take(split.left)
    assert not len(split_by_group(left, 0.2, seed=1).right)
    assert 0.1 < len(split_by_group(left, 0.2, seed=1, purpose=b"trial").right) / len(left) < 0.3


def test_the_newest_are_the_test_in_a_split_by_time():
    events = made_up_events(1000, np.random.default_rng(1))
    split = split_by_time(events, 0.2)
    times = events.column("ts")
    assert max(times[split.left]) < min(times[split.right])
    assert len(split.right) == 200
    without = events.with_column("ts", pa.nulls(1000, pa.int64()))
    with pytest.raises(SettingsError, match="ts"):
        split_by_time(without, 0.2)


def test_leaks_fail_loudly_are_dropped_or_are_let_pass(tmp_path):
    training = collect(
        tmp_path,
        urls(
            "http://a.example/1", "http://b.example/2", "http://c.example/3", labels=["benign"] * 3
        ),
    )
    test = collect(
        tmp_path,
        urls(
            "https://A.example/1",
            "http://b.example/other",
            "http://d.example/4",
            labels=["benign"] * 3,
        ),
    )
    leaks = find_leaks(training, test)
    assert leaks.same_text.tolist() == [True, False, False]
    assert leaks.same_group.tolist() == [True, True, False]
    with pytest.raises(LeakError, match=r"1 stand in training too.*2 share a group.*'drop'"):
        check_leaks(training, test, OnLeak.FAIL)
    kept, after = check_leaks(training, test, OnLeak.DROP)
    assert kept.texts[0].startswith(b"c.example\x1f3\x1f")
    assert len(kept) == 1 and not after.any
    kept, found = check_leaks(training, test, OnLeak.ALLOW)
    assert len(kept) == 3 and found.any
    found.save(tmp_path / "leaks.npz")
    assert Leaks.load(tmp_path / "leaks.npz").same_text.tolist() == [True, False, False]


def test_folds_are_even_and_keep_groups_together():
    events = made_up_events(1000, np.random.default_rng(2))
    folds = assign_folds(events, 5, seed=0)
    names = events.groups
    assert all(len(set(folds[names == g])) == 1 for g in set(names))
    assert np.bincount(folds).max() - np.bincount(folds).min() <= 4
    with pytest.raises(InputError, match="too few for 5 folds"):
        assign_folds(events.take(np.arange(3)), 5, seed=0)


def test_made_up_data_reads_like_a_file(tmp_path):
    table = made_up_table(50, np.random.default_rng(0))
    assert len(collect(tmp_path, table)) == 50


def test_an_empty_group_is_no_group(tmp_path):
    path = tmp_path / "urls.csv"
    path.write_text("url,group,source\nhttp://a.example/,,\nhttp://b.example/,g,s\n")
    events = read_dataset([path], get_task("url-threat"))
    assert events.groups.tolist() == ["a.example", "g"]
    assert events.sources.tolist() == [None, "s"]
