"""Students are judged on families of sources that they did not see, and so are thresholds."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from buckler.dataset import Dataset
from buckler.dataset.sources import (
    balance_sources,
    sample_sources,
    source_families,
    source_family,
)
from buckler.errors import InputError
from buckler.evaluation.unseen_sources import SourceRecord, ThresholdRule
from buckler.operating_point import OperatingPoint
from buckler.pipeline.fit_stages import worst_false_positives
from buckler.runtime import Scorer
from buckler.tasks import get_task
from buckler.training.cross_validation import StudentSpec
from buckler.training.fit import fit_student, learn_more
from buckler.training.packaging import bundle_parts
from buckler.training.unseen_sources import (
    score_later_events,
    score_unseen_sources,
    source_folds,
    source_warnings,
)

TASK = get_task("url-threat")
RATE = OperatingPoint(fpr=0.01)
SPEC = StudentSpec("ngram", {"table_bits": 12, "epochs": 4}, folds=3)


def events_of(counts, seed=0):
    """Return URLs of sources; the mark of its source is in each URL, that of its class in most."""
    rng = np.random.default_rng(seed)
    texts, labels, sources = [], [], []
    for (source, label), n in counts.items():
        for _ in range(n):
            number = int(rng.integers(1 << 30))
            honest = rng.random() < 0.8
            mark = ("login", "news")[(label == "benign") == honest]
            text = f"http://{source.split('/')[0]}{number}.example/{mark}/{number % 97}"
            texts.append(text.encode())
            labels.append(label)
            sources.append(source)
    return Dataset.from_texts(texts, TASK, labels=labels, sources=sources).with_groups()


MIXED = {
    ("feed/one", "phishing"): 300,
    ("feed/two", "phishing"): 100,
    ("reports", "phishing"): 200,
    ("sites", "benign"): 300,
    ("news", "benign"): 200,
    ("mixed", "benign"): 100,
    ("mixed", "phishing"): 100,
}
ONE_FAMILY = {("one", "benign"): 300, ("one", "phishing"): 300}


@given(st.text(min_size=1, max_size=30))
def test_the_family_is_a_prefix_of_the_source_and_its_own_family(source):
    family = source_family(source)
    assert family and family.strip() in source
    assert source_family(family) in (family, source_family(source))


def test_no_family_is_in_training_and_held_out():
    events = events_of(MIXED)
    fold_of, unseen = source_folds(events, 3, seed=0)
    families = source_families(events)
    assert unseen.all()
    for family in np.unique(families):
        assert len(set(fold_of[families == family])) == 1
    for fold in np.unique(fold_of):
        assert len(set(events.labels[fold_of != fold])) == 2


@given(st.floats(0, 1), st.floats(0.1, 10))
def test_balance_keeps_the_weight_of_a_class_and_the_order_of_sources(power, weight):
    events = events_of({("a", "benign"): 40, ("b", "benign"): 10, ("c", "phishing"): 20})
    weights = balance_sources(events.with_weights(weight), power).weights
    positive, of_a = events.is_positive, events.sources == "a"
    assert weights[~positive].mean() == pytest.approx(weight, rel=1e-5)
    assert weights[positive].mean() == pytest.approx(weight, rel=1e-5)
    ratio = weights[~positive & ~of_a].sum() / weights[of_a].sum()
    assert ratio == pytest.approx(0.25 ** (1 - power), rel=1e-4)


def test_a_sample_keeps_small_sources_whole_and_annotated_events_of_large_ones():
    events = events_of({("a", "benign"): 40, ("b", "benign"): 3, ("c", "phishing"): 20})
    annotated = np.arange(len(events)) % 8 == 0
    weighted = events.with_weights(np.where(annotated, 2.0, 1.0))
    sample = sample_sources(weighted, 10, 15, np.random.default_rng(0))
    counts = {name: int((sample.sources == name).sum()) for name in "abc"}
    assert counts == {"a": 10, "b": 3, "c": 15}
    assert (sample.weights == 2).sum() == annotated.sum()


def test_a_class_of_one_family_is_cut_by_group_and_marked_as_known():
    events = events_of({("feed", "phishing"): 200, ("a", "benign"): 200, ("b", "benign"): 200})
    fold_of, unseen = source_folds(events, 3, seed=0)
    positive = events.is_positive
    assert not unseen[positive].any() and unseen[~positive].all()
    assert len(set(fold_of[positive])) == 3


def test_events_without_sources_have_no_evidence():
    events = events_of(MIXED).with_column("source", [None] * sum(MIXED.values()))
    assert score_unseen_sources(events, SPEC, 2) is None
    assert fit_student(events, SPEC).evidence is None


def test_additional_examples_of_a_held_out_family_do_not_help():
    events = events_of(MIXED)
    wrong = events.with_labels(1 - events.labels)  # would reverse every answer
    plain = score_unseen_sources(events, SPEC, 4)
    misled = score_unseen_sources(
        events, SPEC, 4, wrong.take(np.flatnonzero(source_families(wrong) == "mixed"))
    )
    own = source_families(events) == "mixed"
    assert (plain.logits[own] == misled.logits[own]).all()
    assert (plain.logits[~own] != misled.logits[~own]).any()


def test_the_source_betrays_the_class_only_where_it_was_seen():
    events = events_of(MIXED)
    fitted = fit_student(events, SPEC)
    record = fitted.record_at(RATE, fitted.operating_curve.threshold(RATE))
    # Four in five events show their class; the mark of a source shows the class of the rest.
    assert record.pair_auroc < 0.9
    assert {one.source for one in record.sources} == {name for name, _ in MIXED}
    mixed = next(one for one in record.sources if one.source == "mixed")
    assert mixed.auroc == pytest.approx(0.8, abs=0.1)
    assert mixed.detection.n_rows == mixed.false_positives.n_rows == 100


@pytest.mark.parametrize("rule", [ThresholdRule.UNSEEN, ThresholdRule.WORST])
def test_the_rate_holds_on_the_negatives_of_the_rule(rule):
    events = events_of(MIXED)
    spec = StudentSpec("ngram", {"table_bits": 12}, folds=3, threshold_rule=rule)
    fitted = fit_student(events, spec)
    scores = fitted.evidence.scores
    groups = list(scores.negatives().values())
    if rule is ThresholdRule.UNSEEN:
        groups = [np.concatenate(groups)]
    threshold = np.float32(fitted.operating_curve.threshold(RATE))
    assert max((own >= threshold).mean() for own in groups) <= 0.01
    options = fitted.record_at(RATE, float(threshold)).options
    known = next(o for o in options if o.rule is ThresholdRule.KNOWN)
    assert known.false_positives.value > 0.01  # what the rule on known sources would have cost


def test_own_negatives_set_the_threshold_and_teach_nothing():
    events, own = events_of(MIXED), events_of({("mine", "benign"): 600}, seed=7)
    spec = StudentSpec("ngram", {"table_bits": 12}, folds=3, threshold_rule=ThresholdRule.OWN)
    fitted = fit_student(events, spec, own_negatives=own.without_labels())
    parts = bundle_parts("x", fitted, operating_point=RATE)
    verdicts = Scorer(parts.assemble()).score(own.raw)
    assert 0 < verdicts.detected.sum() <= 6
    plain = replace(spec, threshold_rule=ThresholdRule.UNSEEN)
    without = fit_student(events, plain).student.predict_logits(own.texts)
    assert (fitted.student.predict_logits(own.texts) == without).all()


def test_own_negatives_set_the_threshold_where_no_family_can_be_left_out():
    events, own = events_of(ONE_FAMILY), events_of({("mine", "benign"): 600}, seed=7)
    spec = StudentSpec("ngram", {"table_bits": 12}, folds=3, threshold_rule=ThresholdRule.OWN)
    fitted = fit_student(events, spec, own_negatives=own.without_labels())
    assert fitted.evidence is None
    curve = fitted.operating_curve
    assert curve.origin == "own-negatives" and curve.n_negatives == len(own)
    assert curve.rates_at(curve.threshold(RATE))[0] <= 0.01
    with pytest.raises(InputError, match="too few own negatives"):
        fit_student(events, spec, own_negatives=own.take(np.arange(5)))


@pytest.mark.parametrize("sources", [MIXED, ONE_FAMILY])
def test_the_rule_of_own_negatives_needs_own_negatives(sources):
    spec = StudentSpec("ngram", {"table_bits": 12}, folds=3, threshold_rule=ThresholdRule.OWN)
    with pytest.raises(InputError, match="own negatives"):
        fit_student(events_of(sources), spec)


def test_events_kept_from_the_test_are_learned_later_at_the_same_thresholds():
    events = events_of(MIXED)
    late = np.arange(len(events)) % 5 == 0
    tested = fit_student(events.take(np.flatnonzero(~late)), SPEC)
    whole = learn_more(tested, events.take(np.flatnonzero(late)), SPEC)
    assert whole.n_rows == len(events)
    assert whole.curves == tested.curves
    assert whole.evidence is tested.evidence
    logits = [one.student.predict_logits(events.texts) for one in (tested, whole)]
    assert (logits[0] != logits[1]).any()
    assert ((logits[0] > 0) == (logits[1] > 0)).mean() > 0.95


def with_times(events, seed=0):
    """Return events with times; the class of the latest fifth is another than their URL shows."""
    times = np.random.default_rng(seed).permutation(len(events)) + 1_700_000_000
    dated = events.with_column("ts", [int(time) for time in times])
    late = times > np.quantile(times, 0.8)
    return dated.with_labels(np.where(late, 1 - events.labels, events.labels).astype(np.int32))


def test_a_student_of_older_events_scores_the_latest_of_each_family():
    events = with_times(events_of({("feed", "phishing"): 400, ("sites", "benign"): 400}))
    found = score_later_events(events, SPEC, 4, None, None)
    families, times = source_families(events), events.times
    for family in ("feed", "sites"):
        own, late = families == family, found.is_unseen & (families == family)
        assert late.sum() == pytest.approx(80, abs=2)
        assert times[late].min() > times[own & ~late].max()
    # They learned the classes of before, which hold no longer: they saw nothing of the latest.
    wrong = (found.logits[:, 0] > 0) != events.is_positive
    assert wrong[found.is_unseen].mean() > 0.7


def test_later_copies_and_events_without_a_time_of_the_family_do_not_help():
    events = with_times(events_of({("feed", "phishing"): 400, ("sites", "benign"): 400}))
    plain = score_later_events(events, SPEC, 4, None, None)
    late = np.flatnonzero(plain.is_unseen)
    copies = events.take(late).with_column("source", ["synthetic"] * len(late))
    copies = copies.with_column("group", [f"copy {i}" for i in range(len(late))])
    cutoffs = [events.times[late].max() + i for i in range(len(late))]
    copies = copies.with_column("ts", [int(time) for time in cutoffs])
    helped = score_later_events(events, SPEC, 4, copies, None)
    assert (helped.logits == plain.logits).all()


@pytest.mark.parametrize("times", [None, 1_700_000_000])
def test_without_early_and_late_events_there_are_no_later_ones(times):
    events = events_of(MIXED)
    dated = events.with_column("ts", [times] * len(events))
    assert score_later_events(dated, SPEC, 2, None, None) is None


def test_the_latest_events_stand_in_the_card_where_they_are_asked_for():
    days = np.random.default_rng(0).permutation(sum(MIXED.values()))
    events = events_of(MIXED).with_column("ts", [1_700_000_000 + 86_400 * int(d) for d in days])
    fitted = fit_student(events, replace(SPEC, by_time=True))
    record = fitted.record_at(RATE, fitted.operating_curve.threshold(RATE))
    assert {(one.family, one.positive) for one in record.later} >= {
        ("feed", True),
        ("sites", False),
    }
    for one in record.later:
        assert one.detected_unseen.n_rows == one.detected.n_rows > 0
    bundle = bundle_parts("x", fitted, operating_point=RATE).assemble()
    assert SourceRecord.read(bundle.manifest.unseen_sources).later == record.later
    assert "learned until then" in bundle.entries["card.md"].decode()
    assert fit_student(events, SPEC).evidence.later is None


def test_the_worst_false_positives_of_each_unseen_source_are_named():
    fitted = fit_student(events_of(MIXED), SPEC)
    lines = worst_false_positives(fitted.evidence, 0.3).splitlines()
    found = [json.loads(line) for line in lines]
    for source in {one["source"] for one in found}:
        scores = [one["score"] for one in found if one["source"] == source]
        assert 0 < len(scores) <= 10
        assert scores == sorted(scores, reverse=True)
        assert min(scores) >= 0.3
    negatives = {name for name, label in MIXED if label == "benign"}
    assert {one["source"] for one in found} <= negatives
    assert found


def test_the_manifest_holds_the_record_and_the_card_opens_with_it():
    fitted = fit_student(events_of(MIXED), SPEC)
    bundle = bundle_parts("x", fitted, operating_point=RATE).assemble()
    record = SourceRecord.read(bundle.manifest.unseen_sources)
    assert record is not None and record.n_pairs == 12
    card = bundle.entries["card.md"].decode()
    assert card.index("## On sources that it has not seen") < card.index("## Thresholds")
    assert "feed/one" in card
    assert "It cannot tell of " in card


def test_uncertain_events_of_a_source_lie_between_the_set_and_the_threshold():
    fitted = fit_student(events_of(MIXED), SPEC)
    record = fitted.record_at(RATE, fitted.operating_curve.threshold(RATE))
    scores, least = fitted.evidence.scores, np.float32(fitted.conformal[0.05])
    for one in record.sources:
        own = scores.score[scores.sources == one.source]
        between = (own >= least) & (own < np.float32(record.threshold))
        assert one.uncertain.value == pytest.approx(between.mean())


@pytest.mark.parametrize("values", [{}, {"rule": "x"}, {"sources": 3}, {"options": []}])
def test_a_record_that_is_not_sound_is_no_record(values):
    assert SourceRecord.read(values) is None


def test_warnings_name_sources_that_give_the_class_away():
    one_sided = {("feed", "phishing"): 150, ("list", "phishing"): 150, ("sites", "benign"): 150}
    found = source_warnings(events_of(one_sided), seed=0)
    assert any("one kind of class only" in text for text in found)
    assert any("positive events, a classifier recognizes" in text for text in found)
    mixed = {
        ("x", "phishing"): 100,
        ("x", "benign"): 100,
        ("y", "phishing"): 100,
        ("y", "benign"): 100,
    }
    anonymous = events_of(mixed)
    plain = [f"http://h{i}.example/{i % 7}".encode() for i in range(len(anonymous))]
    same = Dataset.from_texts(
        plain,
        TASK,
        labels=list(anonymous.label_names),
        sources=list(np.random.default_rng(0).permutation(anonymous.sources)),
    ).with_groups()
    assert source_warnings(same, seed=0) == ()
