"""Merged annotations against the truth that simulated annotators hide."""

from dataclasses import replace

import numpy as np
import pytest

from buckler.errors import InputError
from buckler.labels.merging import Merge, check_shares, merge_annotations
from buckler.pipeline.recipe import LabelsSection
from buckler.tasks import Task
from tests.support.annotators import Crowd, annotate, class_shares, compare_with_mean, crowds


@pytest.mark.parametrize("method", Merge)
@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("rare", [0.02, 0.05, 0.1])
def test_one_perfect_annotator_is_believed(method, soft, rare):
    crowd = Crowd((1.0,), (1 - rare, rare), soft=soft)
    batches, annotators, truth = annotate(crowd, 1000, np.random.default_rng(0))
    merged = merge_annotations(batches, annotators, method)
    assert (merged.probabilities.argmax(axis=1) == truth).all()
    if method is not Merge.MAJORITY:
        assert np.allclose(merged.probabilities, batches[0].probabilities)


def test_an_event_with_one_annotation_keeps_it_whatever_others_are_like():
    batches, annotators, _ = annotate(
        Crowd((0.9, 0.6, 0.7), (0.95, 0.05), coverage=0.5), 2000, np.random.default_rng(1)
    )
    merged = merge_annotations(batches, annotators, Merge.DAWID_SKENE)
    said = {i: p for b in batches for i, p in zip(b.event_ids, b.probabilities, strict=True)}
    alone = np.flatnonzero(merged.n_annotations == 1)
    assert len(alone) > 500
    assert np.allclose(merged.probabilities[alone], [said[merged.event_ids[i]] for i in alone])


INDEPENDENT = [
    Crowd(accuracies, class_shares(n_classes, rare), coverage, rare_errors=rare_errors)
    for accuracies in ((0.9, 0.8, 0.7), (0.85, 0.85, 0.85), (0.9, 0.8, 0.7, 0.85))
    for n_classes, rare in ((2, 0.1), (2, 0.3), (3, 0.2), (8, 0.5))
    for coverage in (0.6, 1.0)
    for rare_errors in (False, True)
]


def test_dawid_skene_is_no_worse_than_the_mean_where_errors_are_independent():
    found = [
        compare_with_mean(crowd, 600, Merge.DAWID_SKENE, seed)
        for seed, crowd in enumerate(INDEPENDENT)
    ]
    assert [crowd for crowd, one in zip(INDEPENDENT, found, strict=True) if one.is_worse] == []
    assert np.mean([one.error for one in found]) < 0


@pytest.mark.parametrize(("n_classes", "rare"), [(2, 0.01), (2, 0.1), (3, 0.2), (29, 0.5)])
def test_dawid_skene_erases_no_rare_class(n_classes, rare):
    """A class keeps half the share that annotators give it, whatever errors they share."""
    for seed, crowd in enumerate(crowds([class_shares(n_classes, rare)])[::17]):
        batches, annotators, _ = annotate(crowd, 300, np.random.default_rng(seed))
        mean = merge_annotations(batches, annotators, Merge.MEAN).probabilities.mean(axis=0)
        merged = merge_annotations(batches, annotators, Merge.DAWID_SKENE).probabilities.mean(
            axis=0
        )
        assert (merged >= mean / 2 - 1e-9).all()


def test_the_default_merge_is_the_mean():
    assert LabelsSection(store="labels.db").merge is Merge.MEAN


@pytest.mark.parametrize("share", [0.01, 0.6])
def test_targets_far_from_what_every_annotator_says_are_refused_with_both_tables(share):
    task = Task("t", {"benign": "", "phishing": ""}, positive=("phishing",))
    crowd = Crowd((0.95, 0.9), (0.9, 0.1))
    batches, annotators, _ = annotate(crowd, 500, np.random.default_rng(0))
    merged = merge_annotations(batches, annotators, Merge.MEAN)
    check_shares(merged, annotators, task)
    changed = np.tile([1 - share, share], (500, 1))
    table = rf"the targets: benign {1 - share:.1%}, phishing {share:.1%}; a0: .*; a1: .*'mean'"
    with pytest.raises(InputError, match=table):
        check_shares(replace(merged, probabilities=changed), annotators, task)
