"""The review queue: order, claims, labels, undo, families, metrics; and nothing is lost."""

import json
import threading
import unicodedata
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select, text

from buckler.dataset import Dataset
from buckler.errors import InputError, OutputError, SettingsError
from buckler.evaluation.agreement import cohens_kappa
from buckler.labels import AnnotationColumns, Annotator, LabelStore
from buckler.labels.merging import Merge, merge_annotations
from buckler.readers.quarantine import Quarantine
from buckler.review.acquisition import rank_events
from buckler.review.annotation_tools import (
    Tool,
    export_queue,
    import_answers,
    labeling_interface,
)
from buckler.review.dashboard import compute_dashboard
from buckler.review.enqueue import EnqueueOptions, enqueue_events
from buckler.review.facts import find_facts
from buckler.review.label_recorder import ConflictError, LabelForm, LabelRecorder
from buckler.review.queue import Filter, Queue
from buckler.review.review_tables import ITEMS, LABELS, State, Stratum
from buckler.review.safe_text import highlight, visible
from buckler.review.search import extract_words
from buckler.review.similar import LabeledEvents
from buckler.runtime import Contribution
from buckler.tasks import get_task
from tests.support.cli import buckler, refused
from tests.support.made_up import made_up_events
from tests.support.review_queue import items_of

pytest.importorskip("argon2", reason="the extra 'review' is not installed")

from buckler.review.accounts import Accounts, Role
from buckler.review.audit import read_audit, verify_audit, write_audit
from buckler.review.sessions import MAX_SESSION_S, Sessions

TASK = get_task("url-threat")
ANN, BOB, LEA = (1, "ann"), (2, "bob"), (3, "lea")


@pytest.fixture
def store(store_where):
    with LabelStore(store_where) as opened:
        accounts = Accounts(opened)
        for number, name in (ANN, BOB, LEA):
            assert accounts.add(name, Role.LEAD, None).id == number
        yield opened


def enqueue(store, scorer, n=400, **more):
    events = made_up_events(n, np.random.default_rng(5))
    return events, enqueue_events(store, events, scorer, options=EnqueueOptions(**more))


def open_queue(store, second_share=0.0, seed=0, **more):
    queue = Queue(store, TASK, rng=np.random.default_rng(seed), **more)
    rng = np.random.default_rng(seed)
    return queue, LabelRecorder(queue, second_share=second_share, rng=rng, clock=queue.clock)


def annotations(store):
    found = {}
    annotators = store.annotators()
    for batch in store.annotations(TASK):
        for i, event_id in enumerate(batch.event_ids):
            who = annotators[int(batch.annotators[i])]
            said = int(batch.probabilities[i].argmax()) if batch.confidence[i] else None
            found.setdefault(event_id, []).append((who.name, who.version, said))
    return found


# --- order ----------------------------------------------------------------------------------------


def test_events_near_the_threshold_in_dispute_or_novel_come_first(url_scorer):
    events = made_up_events(600, np.random.default_rng(1))
    plain = rank_events(events, url_scorer, sample_share=0)
    near = np.abs(np.log(plain.scores / (1 - plain.scores)) - _logit(url_scorer.threshold))
    shown = plain.duplicate_of == np.arange(len(events))
    top = np.argsort(-plain.acquisition[shown])[:50]
    assert np.median(near[shown][top]) < np.median(near[shown]) / 2
    assert set(plain.stratum) == {Stratum.RANKED}

    teacher = np.full((600, 2), np.nan)
    teacher[7] = (1, 0) if plain.scores[7] > 0.5 else (0, 1)
    disputed = rank_events(events, url_scorer, teacher=teacher, sample_share=0)
    assert disputed.acquisition[7] > plain.acquisition[7]
    assert disputed.reason[7] == "teacher and student disagree"

    novelty = np.zeros(600)
    novelty[9] = 1.0
    fresh = rank_events(events, url_scorer, novelty=novelty, sample_share=0)
    assert fresh.acquisition[9] > plain.acquisition[9]


def _logit(p):
    return np.log(p / (1 - p))


def test_near_duplicates_are_grouped_and_random_samples_are_not(url_scorer):
    base = made_up_events(100, np.random.default_rng(1))
    long = "https://www.example.com/" + "catalog/garden/tools/" * 8
    like = Dataset.from_texts([f"{long}?page={i}".encode() for i in range(40)], TASK)
    events = Dataset.concat([base, like])
    ranking = rank_events(events, url_scorer, sample_share=0)
    assert len(set(ranking.duplicate_of[100:])) < 10
    assert ranking.covers.sum() == len(events)
    drawn = rank_events(events, url_scorer, sample_share=0.5)
    sampled = np.flatnonzero(drawn.stratum > 0)
    assert len(sampled)
    assert (drawn.duplicate_of[sampled] == sampled).all()
    assert (drawn.covers[sampled] == 1).all()
    assert (drawn.detections[drawn.stratum == Stratum.DETECTION_SAMPLE]).all()
    assert not (drawn.detections[drawn.stratum == Stratum.REST_SAMPLE]).any()


def test_enqueueing_again_adds_only_new_events(store, url_scorer):
    events, first = enqueue(store, url_scorer)
    assert first.added + first.duplicates == len(set(events.ids))
    again = enqueue_events(store, events, url_scorer)
    assert (again.added, again.known) == (0, first.added + first.duplicates)
    more = made_up_events(50, np.random.default_rng(77))
    more = more.with_column("id", [b"new" + i.to_bytes(13, "big") for i in range(50)])
    third = enqueue_events(store, more, url_scorer)
    assert third.added + third.duplicates == 50
    queue, _ = open_queue(store)
    assert queue.counts().total() == first.added + first.duplicates + 50


def test_near_duplicates_of_a_waiting_event_are_grouped_under_it(store, url_scorer):
    long = "https://www.example.com/" + "catalog/garden/tools/" * 8

    def pages(*numbers):
        return Dataset.from_texts([f"{long}?page={i}".encode() for i in numbers], TASK)

    first = enqueue_events(store, pages(1), url_scorer, options=EnqueueOptions(sample_share=0))
    assert (first.added, first.duplicates) == (1, 0)
    later = enqueue_events(
        store, pages(*range(2, 12)), url_scorer, options=EnqueueOptions(sample_share=0)
    )
    assert (later.added, later.duplicates) == (0, 10)
    queue, recorder = open_queue(store)
    item = queue.claim_next(1)
    assert recorder.record(item, ANN, LabelForm(0)).covers == 11
    # The label was given: it does not cover later events.
    last = enqueue_events(store, pages(12, 13), url_scorer, options=EnqueueOptions(sample_share=0))
    assert (last.added, last.duplicates) == (1, 1)


def test_an_event_labeled_while_events_are_added_covers_nothing_more(
    store, url_scorer, monkeypatch
):
    long = "https://www.example.com/" + "catalog/garden/tools/" * 8
    events = Dataset.from_texts([f"{long}?page={i}".encode() for i in range(30)], TASK)
    monkeypatch.setattr("buckler.review.enqueue._ROWS_A_TRANSACTION", 10)
    queue, recorder = open_queue(store)
    given_at = []

    def judge(n, total):
        if not given_at:  # after the first part
            given_at.append(recorder.record(queue.claim_next(1), ANN, LabelForm(0)).covers)

    found = enqueue_events(
        store, events, url_scorer, options=EnqueueOptions(sample_share=0), on_progress=judge
    )
    assert found.added + found.duplicates == 30
    left = queue.claim_next(1)
    assert left is not None
    assert (
        given_at[0]
        + recorder.record(left, ANN, LabelForm(0)).covers
        + queue.counts()[State.OPEN]
        + sum(find_facts(i, queue).near_duplicates for i in queue.page(Filter()).items)
        == 30
    )


def test_a_limit_keeps_the_best_and_all_random_samples(store, url_scorer):
    events = made_up_events(400, np.random.default_rng(5))
    ranking = rank_events(events, url_scorer, sample_share=0.01)
    found = enqueue_events(store, events, url_scorer, options=EnqueueOptions(limit=20))
    assert found.added == 20 + found.sampled
    queue, _ = open_queue(store)
    best = {i.event_id for i in queue.page(Filter(stratum=Stratum.RANKED)).items}
    rows = np.flatnonzero((ranking.stratum == 0) & (ranking.duplicate_of == np.arange(400)))
    order = rows[np.argsort(-ranking.acquisition[rows], kind="stable")[:20]]
    ids = events.ids
    assert best == {ids[row] for row in order}


# --- claims ---------------------------------------------------------------------------------------


def test_two_analysts_never_get_the_same_event(store, url_scorer):
    enqueue(store, url_scorer)
    now = [1000.0]
    queue, recorder = open_queue(store, clock=lambda: now[0])
    a, b = queue.claim_next(1), queue.claim_next(2)
    assert a != b
    assert queue.claim_next(1) == a  # still at work
    assert not queue.claim(a, 2)
    with pytest.raises(ConflictError, match="no longer yours"):
        recorder.record(a, BOB, LabelForm(1))
    now[0] += queue.claim_s + 1  # ann went home
    assert queue.claim(a, 2)
    with pytest.raises(ConflictError):
        recorder.record(a, ANN, LabelForm(1))
    recorder.record(a, BOB, LabelForm(1))
    assert queue.item(a).state == State.DONE


def test_what_is_skipped_is_not_offered_again_to_the_same_analyst(store, url_scorer):
    enqueue(store, url_scorer, n=40)
    queue, _ = open_queue(store)
    seen = set()
    while (item := queue.claim_next(1)) is not None:
        assert item not in seen
        seen.add(item)
        queue.skip(item, 1)
    assert len(seen) == queue.counts()[State.OPEN]
    assert queue.claim_next(2) is not None


def test_twenty_analysts_lose_and_double_no_label(store, url_scorer):
    enqueue(store, url_scorer, n=260)
    queue, _ = open_queue(store)
    waiting = queue.counts()[State.OPEN]
    done: list[tuple[int, int]] = []
    errors = []

    def work(k):
        own, recorder = open_queue(store, seed=k)
        try:
            while (item := own.claim_next(k)) is not None:
                recorder.record(item, (k, f"analyst-{k}"), LabelForm(k % 2, seconds=1))
                done.append((k, item))
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert len(done) == waiting
    assert max(Counter(item for _, item in done).values()) == 1
    with store.reading() as connection:
        rows = connection.execute(select(LABELS.c.user_id, LABELS.c.item_id)).all()
    assert sorted(rows) == sorted(done)
    direct = [s for said in annotations(store).values() for s in said if s[1] == ""]
    assert Counter(name for name, _, _ in direct) == Counter(f"analyst-{k}" for k, _ in done)


# --- labels ---------------------------------------------------------------------------------------


def test_a_label_is_an_annotation_and_records_the_evidence(store, url_scorer):
    enqueue(store, url_scorer)
    queue, recorder = open_queue(store)
    item = queue.item(queue.claim_next(1))
    recorder.record(item.id, ANN, LabelForm(1, note="a kit", seconds=3.5, evidence={"score": 0.4}))
    assert annotations(store) == {item.event_id: [("ann", "", 1)]}
    (batch,) = store.annotations(TASK, item.event_id)
    assert batch.rationales == ["a kit"]
    with store.reading() as connection:
        row = connection.execute(select(LABELS)).one()
    assert (row.user_id, row.label, row.seconds) == (1, 1, 3.5)
    assert json.loads(row.evidence) == {"score": 0.4}
    assert merge_annotations(store.annotations(TASK), store.annotators(), Merge.MEAN).human.all()


def test_undoing_withdraws_and_brings_the_event_back(store, url_scorer):
    enqueue(store, url_scorer)
    queue, recorder = open_queue(store)
    first = queue.claim_next(1)
    event_id = queue.item(first).event_id
    recorder.record(first, ANN, LabelForm(1))
    second = queue.claim_next(1)
    recorder.record(second, ANN, LabelForm(0))
    assert recorder.undo(ANN) == second
    assert queue.item(second).state == State.OPEN
    assert queue.find_claim(1) == second
    assert recorder.undo(ANN) == first
    assert recorder.undo(ANN) is None
    said = annotations(store)[event_id]
    assert said == [("ann", "", 1), ("ann", "", None)]  # both stay
    assert (
        merge_annotations(store.annotations(TASK), store.annotators(), Merge.MEAN).event_ids == []
    )
    assert queue.claim(first, 1)
    recorder.record(first, ANN, LabelForm(0))
    merged = merge_annotations(store.annotations(TASK), store.annotators(), Merge.DAWID_SKENE)
    assert merged.event_ids == [event_id]
    assert merged.probabilities[0].tolist() == [1, 0]


def test_after_an_hour_or_a_colleagues_label_nothing_is_undone(store, url_scorer):
    enqueue(store, url_scorer)
    now = [5000.0]
    queue, recorder = open_queue(store, clock=lambda: now[0])
    item = queue.claim_next(1)
    recorder.record(item, ANN, LabelForm(1))
    now[0] += 3601
    assert recorder.undo(ANN) is None
    other = queue.claim_next(1)
    recorder.record(other, ANN, LabelForm(1))
    assert queue.claim(other, 2)
    recorder.record(other, BOB, LabelForm(0))
    with pytest.raises(ConflictError, match="a colleague has labeled"):
        recorder.undo(ANN)
    assert [s[2] for s in annotations(store)[queue.item(other).event_id]] == [1, 0]


def test_one_label_covers_near_duplicates_and_undoing_frees_them(store, url_scorer):
    long = "https://www.example.com/" + "catalog/garden/tools/" * 8
    events = Dataset.from_texts([f"{long}?page={i}".encode() for i in range(30)], TASK)
    enqueue_events(store, events, url_scorer, options=EnqueueOptions(sample_share=0))
    queue, recorder = open_queue(store)
    counts = queue.counts()
    assert counts[State.DUPLICATE] >= 20
    item = queue.claim_next(1)
    behind = find_facts(queue.item(item), queue).near_duplicates
    done = recorder.record(item, ANN, LabelForm(0))
    assert done.covers == 1 + behind
    spread = [s for said in annotations(store).values() for s in said]
    assert Counter(version for _, version, _ in spread) == {"": 1, "near-duplicate": behind}
    recorder.undo(ANN)
    assert (
        merge_annotations(store.annotations(TASK), store.annotators(), Merge.MEAN).event_ids == []
    )


def test_times_seen_do_not_count_near_duplicates(store, url_scorer):
    long = "https://www.example.com/" + "catalog/garden/tools/" * 8
    pages = [f"{long}?page={i}".encode() for i in (0, 1, 1, 2, 0, 1)]
    events = Dataset.from_texts([*pages, b"https://other.example/a"], TASK)
    enqueue_events(store, events, url_scorer, options=EnqueueOptions(sample_share=0))
    queue, _ = open_queue(store)
    facts = [find_facts(item, queue) for item in queue.page(Filter()).items]
    assert sorted(found.near_duplicates for found in facts) == [0, 2]
    with queue.store.reading() as connection:
        stored = connection.exec_driver_sql("SELECT item_id, facts FROM review_facts").all()
    times = {item: int(json.loads(found)["times"]) for item, found in stored}
    assert sorted(times.values()) == [2, 3]
    for item, found in zip(queue.page(Filter()).items, facts, strict=True):
        assert found.times == times.get(item.id, 1)


def test_a_family_is_labeled_once_and_can_come_back(store, url_scorer):
    events = made_up_events(300, np.random.default_rng(5))
    events = events.with_groups(["one.example" if i % 3 else f"g{i}" for i in range(300)])
    enqueue_events(store, events, url_scorer, options=EnqueueOptions(sample_share=0.01))
    queue, recorder = open_queue(store)
    item = next(
        i for i in queue.page(Filter(stratum=Stratum.RANKED)).items if i.group == "one.example"
    )
    assert queue.claim(item.id, 1)
    with store.reading() as connection:
        of_sample = select(ITEMS.c.id).where(ITEMS.c.stratum == Stratum.REST_SAMPLE)
        sampled = list(connection.scalars(of_sample.where(ITEMS.c.state == State.OPEN)))
    done = recorder.record(item.id, ANN, LabelForm(0, family=True))
    assert done.covers > 20
    left = [queue.item(i) for i in queue.family("one.example")]
    assert all(i.stratum != Stratum.RANKED for i in left)  # random samples: labeled one by one
    assert all(queue.item(i).state == State.OPEN for i in sampled)
    (family,) = recorder.families()
    assert (family.group, family.by, family.covers) == ("one.example", "ann", done.covers)
    later = Dataset.from_texts([b"https://one.example/new/page"], TASK, groups=["one.example"])
    assert enqueue_events(store, later, url_scorer).family_labeled == 1
    assert recorder.revoke(family.id, "lea") == "one.example"
    assert recorder.revoke(family.id, "lea") is None
    assert len(queue.family("one.example")) > 20
    assert queue.item(item.id).state == State.DONE  # what was looked at stays judged
    assert enqueue_events(store, later, url_scorer).added == 1


def test_second_annotations_disputes_and_agreement(store, url_scorer):
    enqueue(store, url_scorer)
    queue, recorder = open_queue(store, second_share=1.0)
    for k in range(30):
        item = queue.claim_next(1)
        recorder.record(item, ANN, LabelForm(k % 2))
    assert queue.counts()[State.SECOND] > 0
    second = {i.id: i for i in queue.page(Filter(state=State.SECOND)).items}
    assert len(second) == 30
    for k, item in enumerate(second.values()):
        assert item.blind
        assert queue.claim(item.id, 2)
        recorder.record(
            item.id, BOB, LabelForm(item.analyst_label if k < 24 else 1 - item.analyst_label)
        )
    disputed = queue.page(Filter(state=State.DISPUTED)).items
    assert len(disputed) == 6
    assert queue.claim(disputed[0].id, 1)
    with pytest.raises(ConflictError, match="a lead decides"):
        recorder.record(disputed[0].id, ANN, LabelForm(1))
    queue.release(1)
    assert queue.claim(disputed[0].id, 3)
    assert recorder.record(disputed[0].id, LEA, LabelForm(1), lead=True).state == State.DONE
    agreement = compute_dashboard(queue).agreement
    assert (agreement.n, agreement.share) == (30, pytest.approx(0.8))
    assert 0.4 < agreement.kappa.value < 0.8
    assert agreement.kappa.low < agreement.kappa.value < agreement.kappa.high


def test_an_analyst_gives_no_second_annotation_on_their_own(store, url_scorer):
    enqueue(store, url_scorer, n=30)
    queue, recorder = open_queue(store, second_share=1.0)
    while (item := queue.claim_next(1)) is not None:
        recorder.record(item, ANN, LabelForm(1))
    assert queue.claim_next(2) is not None


# --- looking through ------------------------------------------------------------------------------


def test_search_finds_words_and_beginnings(store, url_scorer):
    texts = ["https://alpha.example/login/beta", "https://gamma.example/logout", "x:'\"); DROP--"]
    enqueue_events(store, Dataset.from_texts([t.encode() for t in texts], TASK), url_scorer)
    queue, _ = open_queue(store)

    def found(query):
        items = queue.page(Filter(query=query)).items
        known = store.texts(i.event_id for i in items)
        return sorted(known[i.event_id].decode() for i in items)

    assert found("alpha") == [texts[0]]
    assert found("LOG") == sorted(texts[:2])
    assert found("example beta") == [texts[0]]
    assert found("alpha gamma") == []
    assert found("drop") == [texts[2]]
    for hostile in (
        "'; DROP TABLE review_items; --",
        '"*" OR',
        "a:b NEAR(",
        "\x00",
        "%",
        "é" * 300,
    ):
        found(hostile)
    assert len(queue.page(Filter()).items) == 3


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=300))
def test_words_are_plain(readable):
    for word in extract_words(readable):
        assert word == word.lower()
        assert len(word) >= 2
        assert word.isalnum() or any(not c.isascii() for c in word)


def test_pages_follow_one_another_without_gap_or_repetition(store, url_scorer):
    enqueue(store, url_scorer, n=300)
    queue, _ = open_queue(store)
    seen, after = [], None
    while True:
        page = queue.page(Filter(), after)
        seen += [i.id for i in page.items]
        after = page.following
        if after is None:
            break
    waiting = queue.counts()[State.OPEN]
    assert len(seen) == len(set(seen)) == waiting
    values = [queue.item(i).acquisition for i in seen]
    assert values == sorted(values, reverse=True)
    assert {i.predicted_label for i in queue.page(Filter(label=1)).items} == {1}


# --- figures --------------------------------------------------------------------------------------


def test_the_dashboard_adds_up(store, url_scorer):
    events, _ = enqueue(store, url_scorer, n=600, sample_share=0.2)
    truth = dict(zip(events.ids, events.labels.tolist(), strict=True))
    ids = list(truth)
    teacher = Annotator("t", "1", "llm")
    wrong = np.array([truth[i] for i in ids])
    wrong[::4] = 1 - wrong[::4]
    store.add_arrays(
        TASK,
        teacher,
        ids,
        np.eye(2, dtype=np.float32)[wrong],
        AnnotationColumns(cost_usd=[0.01] * 600),
    )
    queue, recorder = open_queue(store)
    for stratum in (Stratum.DETECTION_SAMPLE, Stratum.REST_SAMPLE):
        for item in items_of(queue, stratum):
            assert queue.claim(item.id, 1)
            recorder.record(item.id, ANN, LabelForm(truth[item.event_id], seconds=4))
    board = compute_dashboard(queue)
    assert board.labels == board.covered == 100
    assert board.median_s == 4
    verdicts = url_scorer.score(events.raw)
    detections, positive = verdicts.detected, events.labels == 1
    assert (
        board.sampled.precision.low <= positive[detections].mean() <= board.sampled.precision.high
    )
    assert board.sampled.missed.low <= positive[~detections].mean() <= board.sampled.missed.high
    recall = (detections & positive).sum() / positive.sum()
    assert board.sampled.recall.low <= recall <= board.sampled.recall.high
    assert 0 <= board.sampled.calibration_error < 0.2
    (figures,) = board.teachers
    assert figures.whole.low <= 0.75 <= figures.whole.high
    assert board.costs == [("t 1", 600, pytest.approx(6.0))]
    assert sum(n for of in board.by_day.values() for n in of.values()) == 100
    assert sum(board.states.values()) == 600


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), max_size=60))
def test_kappa_is_sound(pairs):
    both = np.array(pairs, np.int64).reshape(-1, 2)
    found = cohens_kappa(both[:, 0], both[:, 1], 4)
    assert found.n == len(pairs)
    if found.kappa.value == found.kappa.value:
        assert -1 <= found.kappa.low <= found.kappa.value <= found.kappa.high <= 1


def test_kappa_of_the_textbook():
    """Cohen (1960): two clinicians, 100 patients; kappa of this table is 0.130 by hand."""
    a = np.repeat([0, 0, 1, 1], [44, 23, 18, 15])
    b = np.repeat([0, 1, 0, 1], [44, 23, 18, 15])
    observed, chance = 0.59, 0.67 * 0.62 + 0.33 * 0.38
    found = cohens_kappa(a, b, 2)
    assert found.kappa.value == pytest.approx((observed - chance) / (1 - chance))
    assert cohens_kappa(a, a, 2).kappa.value == pytest.approx(1)


# --- other tools ----------------------------------------------------------------------------------


def test_label_studio_and_argilla_there_and_back(store, url_scorer, tmp_path):
    enqueue(store, url_scorer, n=60)
    queue, _ = open_queue(store)
    assert export_queue(queue, Tool.LABEL_STUDIO, tmp_path / "s.json", 10) == 10
    assert '<Choice value="phishing"/>' in (tmp_path / "s.xml").read_text()
    tasks = json.loads((tmp_path / "s.json").read_text())
    choice = {"from_name": "label", "to_name": "text", "type": "choices"}
    for k, task in enumerate(tasks):
        value = {"choices": ["phishing" if k % 2 else "benign"]}
        task["annotations"] = [
            {
                "completed_by": {"id": 4, "email": "ann@example.org"},
                "created_at": "2026-03-01T10:00:00.000000Z",
                "was_cancelled": k == 0,
                "result": [{**choice, "value": value}],
            }
        ]
    tasks[1]["annotations"][0]["result"][0]["value"] = {"choices": ["nonsense"]}
    tasks += [{"data": 5}, "x", {"data": {"event_id": "ff" * 16, "text": "unknown"}}]
    tasks[-1]["annotations"] = tasks[2]["annotations"]
    (tmp_path / "back.json").write_text(json.dumps(tasks))
    with Quarantine() as quarantine:
        assert import_answers(queue, Tool.LABEL_STUDIO, tmp_path / "back.json", quarantine) == 8
    assert quarantine.count == 3
    assert Counter(s[0] for said in annotations(store).values() for s in said) == {
        "label-studio:ann@example.org": 8
    }
    assert queue.counts()[State.DONE] == 8

    export_queue(queue, Tool.ARGILLA, tmp_path / "a.json", 5)
    records = json.loads((tmp_path / "a.json").read_text())
    for record in records:
        record["responses"] = {"label": [{"value": "benign", "user_id": "u1"}]}
    lines = "\n".join(json.dumps(r) for r in records)
    (tmp_path / "a.jsonl").write_text(lines)
    with Quarantine() as quarantine:
        assert import_answers(queue, Tool.ARGILLA, tmp_path / "a.jsonl", quarantine) == 5
    with Quarantine() as quarantine:
        assert import_answers(queue, Tool.ARGILLA, tmp_path / "a.jsonl", quarantine) == 0
    (tmp_path / "positive.json").write_text("[" * 100_000)
    with pytest.raises(InputError, match="not JSON"):
        import_answers(queue, Tool.ARGILLA, tmp_path / "positive.json", Quarantine())


def test_class_names_cannot_break_the_interface():
    from buckler.tasks import Task

    hostile = Task("t", {'a"/><script>': "", "b": ""})
    assert "<script>" not in labeling_interface(hostile)


# --- accounts -------------------------------------------------------------------------------------


def test_accounts_passwords_and_roles(store):
    accounts = Accounts(store)
    amy = accounts.add("amy", Role.ANALYST, "correct horse battery")
    assert accounts.check("amy", "correct horse battery") == amy
    assert accounts.check("amy", "wrong horse battery") is None
    assert accounts.check("ann", "") is None  # has none
    assert accounts.check("nobody", "correct horse battery") is None
    for name, password, why in (
        ("amy", "correct horse battery", "already"),
        ("b", "short", "12 to 200"),
        ("b", "aaaaaaaaaaaaaaaa", "too easy"),
        ("barbara-long-name", "barbara-long-name", "too easy"),
        ("<script>", "correct horse battery", "letters, digits"),
        ("", "correct horse battery", "letters, digits"),
    ):
        with pytest.raises(SettingsError, match=why):
            accounts.add(name, Role.ANALYST, password)
    sso = accounts.add("eve@example.org", Role.LEAD, None)
    assert accounts.check("eve@example.org", "") is None
    assert not sso.has_password
    accounts.set_active(amy.id, False)
    assert accounts.check("amy", "correct horse battery") is None
    assert accounts.get(amy.id) is None
    with store.reading() as connection:
        stored = connection.execute(text("SELECT password FROM review_users")).scalars().all()
    assert any(str(password).startswith("$argon2id$") for password in stored)
    assert Role.ADMIN.covers(Role.LEAD)
    assert not Role.ANALYST.covers(Role.LEAD)


def test_sessions_end(store):
    accounts = Accounts(store)
    ann = accounts.add("amy", Role.ANALYST, "correct horse battery")
    now = [10_000.0]
    sessions = Sessions(store, accounts, idle_s=100, clock=lambda: now[0])
    token = sessions.begin(ann)
    assert sessions.find(token).user == ann
    assert sessions.find(token[:-1]) is None
    assert sessions.find("") is None
    assert sessions.find(token).owns_form(sessions.find(token).csrf)
    assert not sessions.find(token).owns_form("")
    now[0] += 90
    assert sessions.find(token) is not None
    now[0] += 90  # was used in between
    assert sessions.find(token) is not None
    now[0] += 101
    assert sessions.find(token) is None
    whole = Sessions(store, accounts, idle_s=10 * MAX_SESSION_S, clock=lambda: now[0])
    token = whole.begin(ann)
    now[0] += MAX_SESSION_S + 1
    assert whole.find(token) is None
    token = whole.begin(ann)
    accounts.set_password(ann, "another horse battery")
    assert whole.find(token) is None
    token = whole.begin(ann)
    whole.end(token)
    assert whole.find(token) is None
    with store.reading() as connection:  # what a browser holds is nowhere
        assert (
            token.encode()
            not in str(connection.execute(text("SELECT * FROM review_sessions")).all()).encode()
        )


def test_the_audit_log_cannot_be_changed(store):
    Accounts(store)
    write_audit(store, "ann", "signed in", "x" * 2000, "127.0.0.1")
    (entry,) = read_audit(store)
    assert (entry.who, entry.action, len(entry.detail)) == ("ann", "signed in", 500)
    for statement in ("UPDATE review_audit SET who = 'bob'", "DELETE FROM review_audit"):
        with pytest.raises(OutputError, match="never changed"), store.writing() as connection:
            connection.execute(text(statement))
    assert len(read_audit(store)) == 1


def test_an_audit_log_that_was_changed_behind_its_guards_is_broken(store):
    Accounts(store)
    assert verify_audit(store).entries == 0
    for number in range(5):
        write_audit(store, f"ann\0{number}", "signed in")
    check = verify_audit(store)
    assert (check.entries, check.digest) == (5, read_audit(store)[0].digest)
    assert verify_audit(store, noted=read_audit(store)[2].digest) == check
    for row in read_audit(store):
        keys = "(id, at_s, who, address, action, detail, digest)"
        values = f"({row.id}, 0, 'eve', '-', '-', '-', '{row.digest}')"
        verb = "INSERT OR REPLACE" if store.dialect == "sqlite" else "INSERT"
        end = "" if store.dialect == "sqlite" else " ON CONFLICT DO NOTHING"
        with store.writing() as connection:
            connection.execute(text(f"{verb} INTO review_audit {keys} VALUES {values}{end}"))
    assert verify_audit(store) == check
    if store.dialect == "sqlite":
        drop = ["DROP TRIGGER review_audit_no_update", "DROP TRIGGER review_audit_no_delete"]
    else:
        drop = ["DROP TRIGGER review_audit_no_change ON review_audit"]
    with store.writing() as connection:
        for statement in drop:
            connection.execute(text(statement))
        connection.execute(text("DELETE FROM review_audit WHERE id = 5"))
    assert verify_audit(store).entries == 4
    with pytest.raises(InputError, match="its end was removed"):
        verify_audit(store, noted=check.digest)
    with store.writing() as connection:
        connection.execute(text("UPDATE review_audit SET who = 'eve' WHERE id = 2"))
    with pytest.raises(InputError, match="broken at entry 2"):
        verify_audit(store)


def test_entries_of_many_processes_form_one_chain(store):
    Accounts(store)

    def work(who):
        with LabelStore(store.where) as mine:
            for _ in range(8):
                write_audit(mine, who, "signed in")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, "abcd"))
    assert verify_audit(store).entries == 32


def test_no_filter_tells_the_verdict_on_an_event_that_is_labeled_blind(store, url_scorer):
    enqueue(store, url_scorer)
    queue = Queue(store, TASK)

    def pages(conditions):
        found, after = [], None
        while True:
            page = queue.page(conditions, after)
            found += page.items
            after = page.following
            if after is None:
                return found

    assert any(item.blind for item in pages(Filter()))
    told = [Filter(label=label) for label in range(2)]
    told += [Filter(stratum=s) for s in (Stratum.DETECTION_SAMPLE, Stratum.REST_SAMPLE)]
    told += [replace(conditions, query="example") for conditions in told]
    for conditions in told:
        assert not any(item.blind for item in pages(conditions))
    assert any(pages(conditions) for conditions in told)


# --- the command line -----------------------------------------------------------------------------


def test_from_the_command_line(url_bundle, tmp_path):
    import pyarrow.parquet as pq

    from tests.support.made_up import made_up_table

    pq.write_table(made_up_table(300, np.random.default_rng(3)), tmp_path / "e.parquet")
    where = ["-s", tmp_path / "l.db"]
    done = buckler("review", "add", tmp_path / "e.parquet", "-b", url_bundle, *where)
    assert done.returncode == 0, done.stderr
    assert "to be shown" in done.stdout
    made = buckler(
        "review", "user", "add", "ann", "--role", "lead", *where, "--password-file", "-",
        stdin="correct horse battery\n",
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    assert "ann" in buckler("review", "user", "list", *where).stdout
    assert buckler("review", "user", "change", "ann", "--close", *where).returncode == 0
    assert "closed" in buckler("review", "user", "list", *where).stdout
    refused(buckler("review", "user", "change", "bob", "--close", *where), "no account named bob")
    refused(buckler("review", "user", "add", "x", "--role", "king", *where), "is no role")
    refused(buckler("review", "user", "add", "x", *where), "--password-file")
    refused(buckler("review", "serve", "-s", tmp_path / "none.db"), "no label store")
    anywhere = ["review", "serve", *where, "--host", "0.0.0.0"]  # noqa: S104
    refused(buckler(*anywhere), "TLS", "behind_proxy")
    (tmp_path / "r.toml").write_text('behind_proxy = ["*"]\npublic_hosts = ["review.example"]\n')
    refused(buckler(*anywhere, "--settings", tmp_path / "r.toml"), "would allow any")
    (tmp_path / "r.toml").write_text('behind_proxy = ["10.0.0.1"]\n')
    refused(buckler(*anywhere, "--settings", tmp_path / "r.toml"), "public_hosts")
    export = ["review", "export", tmp_path / "x.json", "-t", "url-threat", *where]
    assert "100 events" in buckler(*export, "--as", "argilla", "--limit", 100).stdout
    refused(buckler(*export, "--as", "paper"), "is not one of")


# --- what is shown --------------------------------------------------------------------------------


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=400), st.integers(0, 500))
def test_shown_text_is_never_markup_and_never_hidden(text, limit):
    shown = str(visible(text, limit)).replace('<span class="code">', "").replace("</span>", "")
    assert not set(shown) & set("<>\"'")
    assert all(
        unicodedata.category(c) not in ("Cc", "Cf", "Zl", "Zp") or c in "\n\t" for c in shown
    )


@settings(max_examples=200, deadline=None)
@given(
    st.text(max_size=300),
    st.lists(st.tuples(st.integers(-3, 310), st.integers(0, 12), st.floats(-5, 5)), max_size=12),
)
def test_spans_part_the_text_and_lose_nothing(text, found):
    given_ = [
        Contribution(text[max(0, start) : start + n], start, start + n, weight, "text")
        for start, n, weight in found
    ]
    pieces = highlight(text, given_)
    assert all(-4 <= piece.level <= 4 for piece in pieces)
    # A cut between marks that are stacked, or inside a line break, shows both halves.
    if text.isascii() and "\r\n" not in text:
        joined = "".join(str(piece.text) for piece in pieces)
        assert joined == str(visible(text))


def test_similar_labeled_events(store, url_scorer):
    enqueue(store, url_scorer)
    queue, recorder = open_queue(store)
    judged = LabeledEvents(queue)
    assert judged.most_similar(b"anything", 0) == []
    for _ in range(60):
        recorder.record(queue.claim_next(1), ANN, LabelForm(1))
    done = queue.page(Filter(state=State.DONE)).items
    raw = store.texts([done[0].event_id])[done[0].event_id]
    form = TASK.text_normalizer.normalize(raw, TASK.max_bytes)
    found = judged.most_similar(form, 0)
    assert found[0].item_id == done[0].id
    assert found[0].similarity == pytest.approx(1, abs=1e-4)
    assert [s.similarity for s in found] == sorted((s.similarity for s in found), reverse=True)
    assert done[0].id not in {s.item_id for s in judged.most_similar(form, done[0].id)}
    recorder.undo(ANN)
    assert len(judged._labels()) == 59
