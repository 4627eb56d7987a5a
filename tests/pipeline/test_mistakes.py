"""The worst mistakes of a bundle on test rows."""

import numpy as np

from buckler.pipeline.evaluate import WORST, find_mistakes
from tests.support.made_up import made_up_events


def test_the_worst_mistakes_come_first_and_are_explained(url_scorer):
    events = made_up_events(400, np.random.default_rng(5))
    swapped = events.with_labels((1 - events.labels).astype(np.int32))
    verdicts = url_scorer.score(swapped.raw)
    found = find_mistakes(url_scorer, swapped, verdicts.scores, verdicts.detected)
    wrong = [mistake for mistake in found if not mistake.is_miss]
    missed = [mistake for mistake in found if mistake.is_miss]
    assert len(wrong) == len(missed) == WORST
    assert [one.score for one in wrong] == sorted((one.score for one in wrong), reverse=True)
    assert [one.score for one in missed] == sorted(one.score for one in missed)
    assert {one.label for one in wrong} == {"benign"}
    texts = {text.decode() for text in swapped.raw_texts}
    assert all("".join(run for run, _ in one.runs) in texts for one in found)
    assert all(one.because.startswith("phishing ") for one in wrong)
    assert any(level > 0 for one in wrong for _, level in one.runs)
