"""Watching a bundle: it is quiet where nothing changed, and says what did where something did."""

import json
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from buckler.dataset import Dataset
from buckler.errors import InputError
from buckler.labels import Annotation, Annotator, LabelStore
from buckler.runtime import load
from buckler.tasks import get_task
from buckler.teachers.budget import Budget
from buckler.teachers.recorded import RecordedTeacher
from tests.support.cli import buckler
from tests.support.made_up import made_up_events, made_up_table, made_up_url, numbered_ids

pytest.importorskip("scipy", reason="the extra 'monitor' is not installed")

from buckler.monitoring.drift import (
    discovery_rates,
    kolmogorov_smirnov,
    population_stability,
)
from buckler.monitoring.drift_report import prometheus, report_html, report_json
from buckler.monitoring.quality import (
    area_under_time,
    estimate_quality,
    measure_quality,
    sample_quality,
    shifted_prevalence,
)
from buckler.monitoring.samples import label_samples
from buckler.monitoring.windows import (
    DriftLimits,
    add_samples,
    compare_windows,
    score_events,
    window_names,
)

TASK = get_task("url-threat")
NO_DOMAIN = DriftLimits(domain_auroc=None)
RNG = np.random.default_rng(0)


# --- measures -------------------------------------------------------------------------------------


def test_stability_of_the_same_and_of_another_distribution():
    a, b = RNG.normal(size=5000), RNG.normal(size=5000)
    assert population_stability(a, b) < 0.02
    assert population_stability(a, b + 1) > 0.25
    assert population_stability(np.zeros(500), np.zeros(300)) < 0.001
    assert np.isfinite(population_stability(np.zeros(500), np.ones(300)))
    assert kolmogorov_smirnov(a, b)[1] > 0.001
    assert kolmogorov_smirnov(a, b + 0.5)[1] < 1e-10


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=40), st.lists(st.floats(0, 1), min_size=1))
def test_stability_is_never_negative(a, b):
    assert population_stability(np.array(a), np.array(b)) >= -1e-12


def test_many_quiet_windows_raise_few_alerts():
    reference = RNG.normal(size=3000)
    p = [kolmogorov_smirnov(reference, RNG.normal(size=500))[1] for _ in range(200)]
    assert sum(q < 0.01 for q in discovery_rates(p)) <= 2


@pytest.mark.parametrize("share", [0.02, 0.2, 0.6])
def test_prevalence_is_found_from_calibrated_scores(share):
    """Scores that are calibrated at one half, on events of which another share is bad."""
    n = 40_000
    positive = RNG.random(n) < share
    evidence = RNG.normal(loc=np.where(positive, 1.2, -1.2), size=n)
    score = 1 / (1 + np.exp(-2 * 1.2 * evidence))
    assert shifted_prevalence(score, 0.5) == pytest.approx(share, abs=0.02)
    detections = score > 0.8
    found = estimate_quality(score, detections, np.arange(n), 0.5, n_resamples=50)
    assert found.precision.low - 0.02 < positive[detections].mean() < found.precision.high + 0.02
    assert found.recall.value == pytest.approx(detections[positive].mean(), abs=0.03)
    measured = measure_quality(score, detections, positive, np.arange(n))
    assert measured.precision.value == positive[detections].mean()
    assert measured.recall.n_rows == positive.sum()


def test_area_under_time():
    assert area_under_time([1.0, 1.0, 1.0]) == 1
    assert area_under_time([1.0, 0.0]) == 0.5
    assert area_under_time([0.3]) == 0.3
    assert np.isnan(area_under_time([]))


def watch(scorer, reference, current, names, **settings):
    """Score both sides and compare them."""
    return compare_windows(
        score_events(scorer, reference),
        score_events(scorer, current),
        names,
        deployed_fpr=scorer.manifest.deployed_fpr,
        **settings,
    )


# --- watching -------------------------------------------------------------------------------------


def stretched(events, days=1):
    """The same events, their times spread so that months have enough of them."""
    return events.with_column("ts", 1_700_000_000 + np.arange(len(events)) * 86_400 * days // 10)


def test_it_is_quiet_where_nothing_changed(url_scorer):
    reference = made_up_events(1500, np.random.default_rng(10))
    current = stretched(made_up_events(1500, np.random.default_rng(11)))
    names = window_names(current, "month")
    found = watch(url_scorer, reference, current, names, limits=DriftLimits())
    assert len(found.windows) >= 3
    assert [w.alerts for w in found.windows] == [()] * len(found.windows)
    assert found.reference.recall.value > 0.9
    assert all(w.drift.domain_auroc.low < 0.6 for w in found.windows)
    assert sum(w.n_events for w in found.windows) + sum(n for _, n in found.skipped) == 1500


def other_events(n, seed, benign_like_positive):
    """Bad events that look like good ones, of few words; if asked, good ones like bad ones."""
    rng = np.random.default_rng(seed)
    positive = rng.random(n) < 0.4
    urls = [
        f"http://www.river-stone{rng.integers(1000)}.example/paper/{rng.integers(1000)}"
        if b
        else made_up_url(benign_like_positive, rng)
        for b in positive
    ]
    return Dataset.from_texts(
        [url.encode() for url in urls],
        TASK,
        ids=numbered_ids(n),
        labels=["phishing" if b else "benign" for b in positive],
        groups=[f"n{i}" for i in range(n)],
        times=[1_760_000_000] * n,
    )


def test_it_says_what_changed(url_scorer):
    reference = made_up_events(1500, np.random.default_rng(10))
    lost = other_events(600, 1, benign_like_positive=False)
    (window,) = watch(url_scorer, reference, lost, window_names(lost, "month")).windows
    reasons = " ".join(alert.reason for alert in window.alerts)
    assert "recall" in reasons
    assert "differ from the reference" in reasons
    noisy = other_events(600, 2, benign_like_positive=True)
    (window,) = watch(
        url_scorer, reference, noisy, np.full(600, "all", object), limits=NO_DOMAIN
    ).windows
    assert "false-positive rate" in " ".join(alert.reason for alert in window.alerts)
    assert np.isnan(window.drift.domain_auroc.value)
    unlabeled = replace(noisy, labels=np.full(600, -1, np.int32))
    (window,) = watch(
        url_scorer, reference, unlabeled, np.full(600, "all", object), limits=NO_DOMAIN
    ).windows
    assert window.measured is None
    assert window.alerts


def test_too_few_events_say_nothing(url_scorer):
    few, many = (made_up_events(n, np.random.default_rng(1)) for n in (50, 500))
    with pytest.raises(InputError, match="fewer than"):
        watch(url_scorer, few, many, np.full(500, "all", object))
    with pytest.raises(InputError, match="no window"):
        watch(url_scorer, many, few, np.full(50, "all", object))
    undated = many.with_column("ts", pa.nulls(500, pa.int64()))
    with pytest.raises(InputError, match="take all"):
        window_names(undated, "month")


def test_reports_escape_and_hold(url_scorer):
    reference = made_up_events(600, np.random.default_rng(10))
    lost = other_events(300, 1, benign_like_positive=False)
    names = np.full(300, "<script>alert(1)</script>", object)
    found = watch(
        url_scorer, reference, lost, names, limits=DriftLimits(min_events=100, domain_auroc=None)
    )
    page = report_html(found)
    assert "<script>alert" not in page
    assert "&lt;script&gt;" in page
    assert json.loads(report_json(found))["windows"][0]["n_events"] == 300
    lines = prometheus(replace(found, bundle='a"b')).decode().splitlines()
    assert 'buckler_monitor_events{bundle="a\\"b"} 300' in lines


def test_from_the_command_line(url_bundle, tmp_path):
    pq.write_table(made_up_table(800, np.random.default_rng(1)), tmp_path / "then.parquet")
    pq.write_table(made_up_table(800, np.random.default_rng(2)), tmp_path / "now.parquet")
    common = ["monitor", url_bundle, tmp_path / "now.parquet", "-r", tmp_path / "then.parquet"]
    done = buckler(*common, "-o", tmp_path / "out", "--by", "all", "--fail-on-alert")
    assert done.returncode == 0, done.stderr + done.stdout
    assert {p.name for p in (tmp_path / "out").iterdir()} == {
        "monitor.html", "monitor.json", "monitor.prom",
    }  # fmt: skip
    urls = [f"ftp://x{i}.example/~{i}" for i in range(400)]
    pq.write_table(pa.table({"url": urls}), tmp_path / "now.parquet")
    done = buckler(*common, "-o", tmp_path / "out", "--by", "all", "--fail-on-alert")
    assert done.returncode == 1
    assert "detection rate" in done.stdout
    assert buckler(*common, "-o", tmp_path / "out", "--by", "year").returncode == 2
    assert load(url_bundle).manifest.name == "url"


# --- slices, streams, and a teacher's word --------------------------------------------------------


def test_a_slice_is_held_against_the_same_slice(url_scorer):
    reference = made_up_events(1500, np.random.default_rng(10))
    current = made_up_events(1500, np.random.default_rng(11))
    odd = other_events(300, 3, benign_like_positive=True)
    current = Dataset.concat([current, odd.with_column("source", ["b"] * 300)])
    names = np.full(len(current), "all", object)
    found = watch(
        url_scorer, reference, current, names, slices=("source",),
        limits=DriftLimits(min_events=100, domain_auroc=None),
    )  # fmt: skip
    quiet, loud = found.slices
    assert (quiet.name, loud.name) == ("all, source a", "all, source b")
    assert quiet.alerts == ()
    assert loud.alerts
    assert [w.name for w in found.windows] == ["all"]
    assert "By slice" in report_html(found)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(st.floats(0, 1), st.booleans(), st.booleans()), max_size=60),
    st.integers(0, 10**9),
    st.integers(0, 10**9),
)
def test_samples_give_sound_intervals(events, n_detections, n_rest):
    score = np.array([b for b, _, _ in events], np.float64)
    detections, is_positive = (np.array([e[k] for e in events], bool) for k in (1, 2))
    alone = np.arange(len(events))
    found = sample_quality(score, detections, is_positive, alone, n_detections, n_rest)
    assert found.precision.n_rows + found.missed.n_rows == len(events)
    assert not len(events) or 0 <= found.calibration_error <= 1
    recall = found.recall
    if recall.value == recall.value:
        assert 0 <= recall.low <= recall.value <= recall.high <= 1
    in_pairs = sample_quality(score, detections, is_positive, alone // 2, n_detections, n_rest)
    assert in_pairs.precision.value == found.precision.value or not detections.any()


def doubtful(n=800):
    """A window in which the detections are wrong, without labels; and what is true of it."""
    events = other_events(n, 2, benign_like_positive=True)
    return replace(events, labels=np.full(n, -1, np.int32)), events.labels


def recorded(events, labels):
    ids = events.ids
    said = {
        i: Annotation(i, (1 - float(label), float(label)))
        for i, label in zip(ids, labels.tolist(), strict=True)
    }
    return RecordedTeacher(Annotator("knows", "1", "llm"), said)


def test_a_teacher_is_asked_in_doubt_and_only_once(url_scorer, tmp_path):
    events, labels = doubtful()
    reference = made_up_events(1500, np.random.default_rng(10))
    names = np.full(len(events), "all", object)
    found = watch(url_scorer, reference, events, names, limits=NO_DOMAIN)
    windows = {"all": score_events(url_scorer, events)}
    detections = windows["all"].detected
    teacher = recorded(events, labels)
    with LabelStore(tmp_path / "l.db") as store:
        asked = label_samples(windows, teacher, store, n_events=100, budget=Budget())
        again = label_samples(windows, teacher, store, n_events=100, budget=Budget())
    assert (asked.n_events, asked.n_new, again.n_new) == (100, 100, 0)
    said = asked.windows["all"]
    assert said.precision.n_rows == said.missed.n_rows == 50
    positive = labels == 1
    assert said.precision.low <= positive[detections].mean() <= said.precision.high
    recall = (detections & positive).sum() / positive.sum()
    assert said.recall.low <= recall <= said.recall.high
    assert said.calibration_error > 0.3  # it knows nothing of these events
    (window,) = add_samples(found, asked.windows, "the teacher").windows
    assert window.sampled == said
    assert "labeled by the teacher" in " ".join(alert.reason for alert in window.alerts)
    page = report_html(add_samples(found, asked.windows, "the teacher"))
    assert "Labeled samples" in page


def test_asking_keeps_its_budget(url_scorer, tmp_path):
    pytest.importorskip("openai", reason="the extra 'llm' is not installed")
    from buckler.teachers.llm.chat import ChatSettings, ChatTeacher
    from tests.support.chat_server import chat_server

    events, _ = doubtful(400)
    with chat_server(tmp_path) as server, LabelStore(tmp_path / "l.db") as store:
        settings = ChatSettings(model="m", base_url=f"{server.url}/v1")
        windows = dict.fromkeys(("2026-01", "2026-02"), score_events(url_scorer, events))
        asked = label_samples(
            windows, ChatTeacher(TASK, settings), store, n_events=100, budget=Budget(events=30)
        )
        assert asked.n_new <= 30
        assert asked.stopped == "the budget is spent"
        assert len(server.asked()) <= 30


def lines_of(events):
    texts = events.raw_texts
    return [json.dumps({"url": t.decode()}) for t in texts]


def test_events_as_they_come_are_compared_window_by_window(url_bundle, tmp_path):
    pq.write_table(made_up_table(1200, np.random.default_rng(10)), tmp_path / "then.parquet")
    same = lines_of(made_up_events(1000, np.random.default_rng(11)))
    odd = lines_of(other_events(1200, 3, benign_like_positive=True))
    stdin = "\n".join([*same, "no JSON{", *odd])
    output = tmp_path / "m"
    command = ["monitor", url_bundle, "-", "-r", tmp_path / "then.parquet", "-o", output]
    done = buckler(*command, "--every", 500, "--no-domain", stdin=stdin)
    assert done.returncode == 0, done.stderr
    told = done.stdout.splitlines()
    assert [" 500 events, no alert" in line for line in told[:2]] == [True, True]
    assert "scores have moved" in told[2]
    assert "scores have moved" in told[3]
    assert "200 events" in told[4]  # what was left
    assert "2,201 lines, 1 could not be read" in told[5]
    written = json.loads((output / "monitor.json").read_text())
    assert [w["n_events"] for w in written["windows"]] == [500, 500, 500, 500, 200]
    whole = "\n".join(odd[:500])
    loud = buckler(*command, "--every", 500, "--fail-on-alert", "--no-domain", stdin=whole)
    assert loud.returncode == 1
    few = buckler(*command, "--no-domain", stdin="\n".join(same[:50]))
    assert few.returncode == 2
    assert "too few events" in few.stderr


def test_asking_from_the_command_line(url_bundle, tmp_path):
    events, labels = doubtful(600)
    texts = [t.decode() for t in events.raw_texts]
    pq.write_table(pa.table({"url": texts}), tmp_path / "now.parquet")
    pq.write_table(made_up_table(1200, np.random.default_rng(10)), tmp_path / "then.parquet")
    known = Dataset.from_texts([t.encode() for t in texts], TASK)
    rows = [
        {"event_id": i.hex(), "annotator": "knows", "version": "1", "kind": "llm",
         "p_benign": 1 - int(k), "p_phishing": int(k)}
        for i, k in zip(known.ids, labels, strict=True)
    ]  # fmt: skip
    (tmp_path / "said.jsonl").write_text("\n".join(map(json.dumps, rows)))
    common = ["monitor", url_bundle, tmp_path / "now.parquet", "-r", tmp_path / "then.parquet"]
    common += ["-o", tmp_path / "m", "--by", "all", "--no-domain", "--teacher", "recorded"]
    common += ["--settings", tmp_path / "said.jsonl", "-s", tmp_path / "l.db"]
    done = buckler(*common, "--sample", 60)
    assert done.returncode == 0, done.stderr
    assert "knows 1 was asked about 60 events, 60 of them for the first time" in done.stdout
    assert "labeled by the teacher" in done.stdout
    assert "0 of them for the first time" in buckler(*common, "--sample", 60).stdout


def test_labels_of_analysts_count_where_events_were_sampled_at_random(
    url_bundle, url_scorer, tmp_path
):
    pytest.importorskip("argon2", reason="the extra 'review' is not installed")
    from buckler.review.enqueue import enqueue_events
    from buckler.review.label_recorder import LabelForm, LabelRecorder
    from buckler.review.queue import Queue
    from buckler.review.review_tables import Stratum
    from tests.support.review_queue import items_of

    events, labels = doubtful(600)
    texts, first = np.unique(events.raw_texts, return_index=True)  # each URL counts once
    texts, labels = texts.tolist(), labels[first]
    pq.write_table(pa.table({"url": [t.decode() for t in texts]}), tmp_path / "now.parquet")
    pq.write_table(made_up_table(1200, np.random.default_rng(10)), tmp_path / "then.parquet")
    known = Dataset.from_texts(texts, TASK)
    truth = dict(zip(known.ids, labels.tolist(), strict=True))
    with LabelStore(tmp_path / "l.db") as store:
        enqueue_events(store, known, url_scorer)
        queue = Queue(store, TASK)
        recorder = LabelRecorder(queue, second_share=0)
        for stratum in Stratum:
            for item in items_of(queue, stratum)[:40]:
                assert queue.claim(item.id, 1)
                wrong = stratum == Stratum.RANKED  # these must not count
                recorder.record(item.id, (1, "ann"), LabelForm(truth[item.event_id] ^ wrong))
    common = ["monitor", url_bundle, tmp_path / "now.parquet", "-r", tmp_path / "then.parquet"]
    common += ["-o", tmp_path / "m", "--by", "all", "--no-domain", "-s", tmp_path / "l.db"]
    done = buckler(*common, "--analyst-labels")
    assert done.returncode == 0, done.stderr
    assert "analysts have labeled 80 randomly sampled events of 1 windows" in done.stdout
    asked = json.loads((tmp_path / "m" / "monitor.json").read_text())["windows"][0]["sampled"]
    verdicts = url_scorer.score(known.raw)
    ids = known.ids
    detections, positive = verdicts.detected, np.array([truth[i] == 1 for i in ids])
    assert (asked["precision"]["n_rows"], asked["missed"]["n_rows"]) == (40, 40)
    assert asked["precision"]["low"] <= positive[detections].mean() <= asked["precision"]["high"]
    assert asked["missed"]["low"] <= positive[~detections].mean() <= asked["missed"]["high"] + 1e-9
