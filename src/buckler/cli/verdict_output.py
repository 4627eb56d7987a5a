"""Output of `buckler score`. It loads neither the parser of options nor the library of tables."""

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from itertools import groupby
from pathlib import Path

from buckler.cli.terminal import CYAN, RED, align_columns, in_style, safe
from buckler.errors import InputError
from buckler.runtime import Scorer, Verdict

TOP = 8  # pieces to show
_MAX_FILE_BYTES = 1 << 24
_SHOWN = 200  # characters


def print_scores(
    scorer: Scorer, texts: Sequence[str], *, top: int = TOP, as_json: bool = False
) -> None:
    """Score texts, or the files that ``@`` names, and print the verdicts.

    Raises
    ------
    InputError
        If a file cannot be read; nothing is printed then.
    """
    events = [_event(given) for given in texts]
    for given, event in zip(texts, events, strict=True):
        verdict = scorer.score_one(event, top=top)
        shown = given if not given.startswith("@") else given[1:]
        if as_json:
            _print(json.dumps({"text": shown, **_as_json(verdict)}))
            continue
        _print_event(shown, verdict if not given.startswith("@") else None)
        detected = "DETECTION" if verdict.detected else "no detection"
        if verdict.uncertain:
            detected = "cannot tell"
        line = f"  {verdict.label} ({verdict.probability:.4f})"
        if scorer.positive:
            line += f", {detected}: score {verdict.score:.4f}"
            if verdict.threshold is not None:
                line += f", threshold {verdict.threshold:.4f}"
        if verdict.stage is not None:
            line += f", stage {verdict.stage}{', for review' if verdict.review else ''}"
        _print(line)
        for name, answer in verdict.auxiliary.items():
            _print(f"  {name}: {safe(answer.label)} ({answer.probability:.4f})")
        _print_reasons(verdict)
        _warn_of_path(shown, scorer)


def _warn_of_path(shown: str, scorer: Scorer) -> None:
    """Warn of a path where the bundle judges whole URLs."""
    if shown.startswith("/") and not shown.startswith("//"):
        from buckler.serving.bundles import load_bundle

        if load_bundle(scorer).columns.medium == "url":
            warning = "this is a path without its host: a URL is judged by its host first"
            sys.stderr.write(f"  {warning}\n")


def _as_json(verdict: Verdict) -> dict[str, object]:
    answer = asdict(verdict)
    explanation = answer.pop("explanation")
    if explanation is None:
        return answer
    why = {"why": explanation["contributions"], "coverage": explanation["coverage"]}
    return {**answer, "because": explanation["because"], **why}


def _print_event(shown: str, verdict: Verdict | None) -> None:
    """Print an event; pieces that weigh toward the class are red, those against it cyan."""
    marks: dict[int, str] = {}
    for piece in reversed(verdict.why if verdict is not None else ()):
        if piece.start is not None and piece.end is not None and piece.kind == "text":
            style = RED if piece.weight > 0 else CYAN
            marks |= dict.fromkeys(range(piece.start, piece.end), style)
    line = ""
    for style, run in groupby(enumerate(shown[:_SHOWN]), key=lambda pair: marks.get(pair[0], "")):
        line += in_style(safe("".join(character for _, character in run), _SHOWN), style)
    _print(line + ("…" if len(shown) > _SHOWN else ""))


def _print_reasons(verdict: Verdict) -> None:
    """Print why: the sentence, and each piece with its weight."""
    if not verdict.why:
        return
    _print(f"  {safe(verdict.because, 400)}")
    rows = [(f"{piece.weight:+.3f}", safe(piece.text), piece.place) for piece in verdict.why]
    for line in align_columns(rows):
        _print(line)


def _print(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _event(given: str) -> str | bytes:
    if not given.startswith("@"):
        return given
    path = Path(given[1:])
    try:
        if path.stat().st_size > _MAX_FILE_BYTES:
            raise InputError(f"{path}: larger than 16 MiB; use buckler scan")
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
