"""Words that a new user reads before the first result."""

from benchmarks.reading import DOORS, PATHS, WORDS_A_MINUTE, count_words


def test_the_first_screen_is_short():
    assert count_words(*DOORS) < 120


def test_every_first_result_is_five_minutes_away_at_most():
    for stages in PATHS.values():
        assert sum(count_words(*stage) for stage in stages) <= 5 * WORDS_A_MINUTE
