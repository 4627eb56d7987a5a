"""The closed loop: errors of a student are written for, and only what helps is kept."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from buckler.dataset import read_dataset
from buckler.errors import InputError
from buckler.labels import Annotation, Annotator, LabelStore
from buckler.synthesis.filters import FilterSettings
from buckler.synthesis.synthesis_report import TrialReport
from buckler.synthesis.synthetic_examples import read_synthetic_examples
from buckler.tasks import get_task
from buckler.training import synthesis_loop
from buckler.training.synthesis_loop import close_loop
from buckler.training.synthesis_trial import TrialSettings
from buckler.training.synthesize import SynthesisSettings, synthesize
from tests.support.chat_server import chat_server
from tests.support.cli import buckler
from tests.support.made_up import made_up_url

URL = get_task("url-threat")
LETTERS = list("abdefghijklmnopqrstuvwz")
HIDDEN = ["".join(np.random.default_rng(k).choice(LETTERS, 5)) for k in range(24)]


def with_word(url, word):
    """Return an URL whose last folder is this word."""
    *rest, _, number = url.split("/")
    return "/".join([*rest, word, number])


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    """Labeled URLs; some are phishing for a word that a student has seen once or twice."""
    rng, rows = np.random.default_rng(8), []
    for number in range(700):
        positive, url = bool(rng.random() < 0.1), made_up_url(False, rng)
        if number % 8 == 0:
            positive, url = True, with_word(url, rng.choice(HIDDEN))
        elif positive:
            url = made_up_url(True, rng)
        elif number % 2:
            url = with_word(url, "".join(rng.choice(LETTERS, 5)))
        rows.append({"url": url, "label": "phishing" if positive else "benign"})
    path = tmp_path_factory.mktemp("real") / "real.parquet"
    pq.write_table(pa.Table.from_pylist(rows), path)
    return path


def settings(tmp_path, **changes):
    given = {
        "number": 50,
        "verifier": "none",
        "filters": FilterSettings(copied=1.0, new=0.0),
        "trial": TrialSettings(2, 1.0),
        "turns": 3,
        "store": str(tmp_path / "labels.db"),
    }
    return SynthesisSettings(**{**given, **changes})


@pytest.fixture
def scripted_trial(monkeypatch):
    """A trial that keeps the examples of the first two turns; returns what each turn was given."""
    given = []

    def run(learned, examples, family, settings):
        given.append((list(settings.before), list(examples)))
        kept = len(given) < 3
        gain = 0.02 if kept else -0.01
        return TrialReport(
            measure="AUROC",
            without_examples={},
            with_examples={},
            gain=gain,
            gain_half_width=0.01,
            seeds=settings.seeds,
            kept=kept,
            held_out="",
            summary=f"gain {gain}",
        )

    monkeypatch.setattr(synthesis_loop, "run_trial", run)
    return given


def test_a_writer_sees_errors_and_the_loop_ends_without_a_gain(real, tmp_path, scripted_trial):
    with chat_server(tmp_path, imitates=1) as server:
        chat = tmp_path / "chat.toml"
        chat.write_text(
            f'model = "m"\nbase_url = "{server.url}/v1"\n[price]\ninput = 1.0\noutput = 4.0\n'
        )
        given = settings(tmp_path, generator="chat", generator_settings=chat, turns=5)
        result = synthesize([real], "url-threat", tmp_path / "s.parquet", given)
        turns = result.report.turns
        assert [turn.kept for turn in turns] == [True, True, False]
        assert all(turn.cost_usd > 0 for turn in turns)
        asked = [text for text in server.asked() if text.startswith("order ")]
        n_asked = sum(server.asked().values())
        assert any("which the detector" in text for text in asked)  # the log keeps a beginning
        # What one turn keeps, the next one's students learn.
        first, second, third = scripted_trial
        assert first[0] == []
        assert second[0] == first[1]
        assert third[0] == first[1] + second[1]
        phishing = [one.text for one in first[1] if one.label == "phishing"]
        assert np.mean([any(word in text for word in HIDDEN) for text in phishing]) > 0.8
        assert turns[0].errors > 5
        assert turns[2].errors < turns[0].errors  # the student has learned from the examples
        kept, report = read_synthetic_examples(tmp_path / "s.parquet", URL)
        assert len(kept) == len(first[1]) + len(second[1])
        assert report.turns == turns
        # The label store replays the writer: a second run asks nothing and ends alike.
        scripted_trial.clear()
        again = synthesize([real], "url-threat", None, given)
        assert sum(server.asked().values()) == n_asked
        assert [turn.errors for turn in again.report.turns] == [turn.errors for turn in turns]
        assert all(turn.cost_usd == 0 for turn in again.report.turns)


def test_no_error_is_shown_that_a_trial_is_measured_on(real, tmp_path):
    """The events whose errors are shown stand apart, by group, from those of the trials."""

    def write(learned, gaps, turn):
        assert len(gaps.events) >= gaps.n_wrong > 0
        assert not set(gaps.events.groups) & set(learned.groups)
        assert len(learned) + gaps.n_held_out == len(events)
        raise InputError(f"turn {turn} ends here")

    events = read_dataset([real], URL)
    with pytest.raises(InputError, match="turn 1 ends here"):
        close_loop(events, write, 2)


def test_the_grammar_is_the_baseline(real, tmp_path):
    result = synthesize([real], "url-threat", tmp_path / "s.parquet", settings(tmp_path, turns=1))
    (turn,) = result.report.turns
    assert turn.drafts > 0 and turn.cost_usd == 0
    assert turn.kept == bool(result.synthetic_examples)


def test_events_of_files_without_a_label_have_the_annotations_of_the_store(real, tmp_path):
    labeled = read_dataset([real], URL)
    table = pq.read_table(real).drop_columns(["label"])
    pq.write_table(table, tmp_path / "unlabeled.parquet")
    with LabelStore(tmp_path / "labels.db") as store:
        store.add(
            URL,
            Annotator("big", "1", "llm"),
            [
                Annotation(i, tuple(np.eye(2)[label] * 0.9 + 0.05))
                for i, label in zip(labeled.ids, labeled.labels, strict=True)
            ],
        )
    given = settings(tmp_path, turns=1, generator="mutation")
    result = synthesize([tmp_path / "unlabeled.parquet"], "url-threat", None, given)
    assert result.report.turns[0].errors > 5
    assert result.report.turns[0].held_out > 100


def test_the_command_shows_each_turn(real, tmp_path):
    done = buckler(
        *("synthesize", real, "-t", "url-threat", "-n", 60, "--turns", 2, "--seeds", 2),
        *("-g", "mutation", "-o", "s.parquet"),
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert "turn 1: " in done.stdout and "held-out events wrong" in done.stdout
