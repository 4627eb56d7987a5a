"""Streams to adapt to, each a collection that the start does not learn, with recorded answers."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from hashlib import sha1
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

from benchmarks.models import FOLDER
from buckler.dataset import ColumnNames, Dataset, UnknownLabels, read_dataset
from buckler.tasks import Task, get_task

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Collections:
    """Events of a task, the answers of the teacher, and the start's settings.

    Attributes
    ----------
    events
        Labeled events of every collection.
    answers
        Event -> probability of a positive class.
    settings
        Settings of the start's student.
    """

    events: Dataset
    answers: dict[bytes, float]
    settings: dict[str, object]


@dataclass(frozen=True)
class Stream:
    """A stream to adapt to.

    Attributes
    ----------
    name
        Name in the table.
    collections
        Function that reads the task's events.
    own
        Beginnings of the sources that are the stream.
    left_out
        Beginnings of further sources that the start does not learn.
    held_out
        Share of the events that is held out.
    by_time
        True holds the newest events out, instead of groups.
    from_nothing
        True starts from weights that are zero.
    """

    name: str
    collections: Callable[[Path], Collections]
    own: tuple[str, ...]
    left_out: tuple[str, ...] = ()
    held_out: float = 0.35
    by_time: bool = False
    from_nothing: bool = False


def begins_with(events: Dataset, beginnings: tuple[str, ...]) -> Bools:
    """Tell which events are of a source with one of these beginnings."""
    return np.array([str(source).startswith(beginnings) for source in events.sources], bool)


def kept(name: str, read: Callable[[], Dataset], task: Task) -> Dataset:
    """Read once: parsing pages takes minutes."""
    path = FOLDER / f"{name}.arrow"
    if not path.exists():
        read().save(path)
    return Dataset.load(path, task)


def by_sha1(events: Dataset, path: Path, column: str) -> dict[bytes, Any]:
    """Return the answers to events that a file names by the SHA-1 of their first field."""
    table = pq.read_table(path)
    answers = dict(zip(table["sha1"].to_pylist(), table[column].to_pylist(), strict=True))
    firsts = (text.partition(b"\x1f")[0] for text in events.raw_texts)
    found = {
        event_id: answers.get(sha1(first).hexdigest())  # noqa: S324
        for event_id, first in zip(events.ids, firsts, strict=True)
    }
    return {event_id: p for event_id, p in found.items() if p is not None}


def mails(data: Path) -> Collections:
    """Return the mails of the recipe, without collections whose labels are in doubt."""
    folder = data / "email"
    doubtful = ("thinganhado/e-phishGen:PEST", "Fengchao-531:Greco", "Shadha0624:Greco",
                "Fengchao-531:SpearBot")  # fmt: skip

    def read() -> Dataset:
        files = [folder / f"{name}.parquet" for name in ("train", "modern", "ai-written")]
        columns = ColumnNames(unknown_labels=UnknownLabels.SET_ASIDE)
        events = read_dataset(files, get_task("email"), columns).only_labeled()
        return events.take(np.flatnonzero(~begins_with(events, doubtful)))

    events = kept("mails", read, get_task("email"))
    answers = by_sha1(events, data / "teacher" / "email.parquet", "p_bad")
    return Collections(events, answers, {"min_order": 3, "dropout": 0.3, "table_bits": 15})


def pages(data: Path) -> Collections:
    """Return the pages, without parked ones and those under both labels.

    The form is that of adapted students. The start reads its features alone, as the recipe's does.
    """
    task = replace(get_task("html"), normalizer="html-structure-text-v1")

    def read() -> Dataset:
        columns = ColumnNames(keep=("junk", "mixed_dup"))
        events = read_dataset([data / "html" / "pages.parquet"], task, columns)
        bad = [
            "true" in (str(a).lower(), str(b).lower())
            for a, b in zip(events.column("junk"), events.column("mixed_dup"), strict=True)
        ]
        return events.take(np.flatnonzero(~np.array(bad))).only_labeled()

    events = kept("pages", read, task)
    answers = by_sha1(events, data / "teacher" / "html.parquet", "p_phishing")
    return Collections(events, answers, {"max_order": 0, "dropout": 0.1})


def logins(data: Path) -> Collections:
    """Return the answered pages of a feed for a task of one's own: does the page ask for a login?

    No collection labels them so: the recorded answers are the truth on held-out pages too.
    """
    found = pages(data).events
    found = found.take(np.flatnonzero(begins_with(found, ("watanabe-baketsu/",))))
    kinds = by_sha1(found, data / "teacher" / "html.parquet", "kind_seen")
    found = found.take(np.flatnonzero([event_id in kinds for event_id in found.ids]))
    labels = np.array([kinds[event_id] == "login" for event_id in found.ids], np.int32)
    task = replace(
        found.task,
        name="login-page",
        classes={"other": "Any other page.", "login": "A page that asks for credentials."},
        positive=("login",),
        aliases={},
    )
    answers = dict(zip(found.ids, labels.astype(float).tolist(), strict=True))
    return Collections(Dataset(task, found.table, found.inputs, labels), answers, {})


def urls(data: Path) -> Collections:
    """Return the URLs of the recipe and those with an answer of the field's collections."""
    task = get_task("url-threat")
    table = pq.read_table(data / "teacher" / "url-threat.parquet")
    answered = dict(zip(table["url"].to_pylist(), table["p_phishing"].to_pylist(), strict=True))

    def read() -> Dataset:
        training = read_dataset([data / "url" / "threat-train.parquet"], task)
        field = read_dataset([data / "url" / "field.parquet"], task)
        known = [raw.decode("utf-8", "replace") in answered for raw in field.raw_texts]
        return Dataset.concat([training, field.take(np.flatnonzero(known))]).only_labeled()

    events = kept("urls", read, task)
    pairs = zip(events.ids, events.raw_texts, strict=True)
    found = {i: answered.get(raw.decode("utf-8", "replace")) for i, raw in pairs}
    answers = {i: p for i, p in found.items() if p is not None}
    settings = {"dropout": 0.3, "table_bits": 19, "class_weights": "balanced"}
    return Collections(events, answers, settings)


def command_lines(data: Path) -> Collections:
    """Return the labeled lines, and telemetry whose recorded answers are the truth."""
    folder, task = data / "command_line", get_task("command-line")
    table = pq.read_table(data / "teacher" / "command-line.parquet")
    answered = dict(zip(table["text"].to_pylist(), table["p_malicious"].to_pylist(), strict=True))

    def read() -> Dataset:
        labeled = read_dataset(
            [folder / "labelled.parquet", folder / "field.parquet"], task
        ).only_labeled()
        telemetry = read_dataset([folder / "telemetry-unlabelled.parquet"], task, labeled=False)
        p = np.array([answered.get(line_of(raw), 0.5) for raw in telemetry.raw_texts])
        sure = np.flatnonzero(p != 0.5)
        telemetry = telemetry.take(sure).with_labels((p[sure] > 0.5).astype(np.int32))
        names = [f"telemetry/{name}" for name in telemetry.sources]
        return Dataset.concat([labeled, telemetry.with_column("source", names)])

    events = kept("lines", read, task)
    pairs = zip(events.ids, events.raw_texts, strict=True)
    found = {i: answered.get(line_of(raw)) for i, raw in pairs}
    return Collections(events, {i: p for i, p in found.items() if p is not None}, {})


def line_of(raw: bytes) -> str:
    """Return the command line of an event, without the fields behind it."""
    return raw.partition(b"\x1f")[0].decode("utf-8", "replace")


STREAMS = (
    Stream("mail: foff-milter, other senders", mails, ("mwstowe/",)),
    # Nearly all answers that there are; a seed measures some 30 mails.
    Stream("mail: foff-milter, a few other senders", mails, ("mwstowe/",), held_out=0.075),
    Stream("mail: foff-milter, later", mails, ("mwstowe/",), by_time=True),
    Stream("pages: setfit", pages, ("watanabe-baketsu/",), ("scrapinghub/",)),
    Stream(
        "pages: Formasaurus and phishing-pages-ethical",
        pages,
        ("scrapinghub/", "maxamin/"),
        ("watanabe-baketsu/",),
    ),
    Stream("command lines: telemetry", command_lines, ("telemetry/",)),
    Stream(
        "command lines: administrators and emulation",
        command_lines,
        (
            *("undergroundwires/", "ChrisTitusTech/", "ScoopInstaller/", "chocolatey-community/"),
            *("elastic/", "center-for-threat-informed-defense/"),
        ),
    ),
    Stream("URLs: account pages and JPCERT", urls, ("account pages", "JPCERTCC")),
    Stream("URLs: Hacker News and JPCERT, later", urls, ("Hacker News", "JPCERTCC"), by_time=True),
    Stream("a task of one's own: page that asks for a login", logins, (""), from_nothing=True),
    Stream("from nothing: mail", mails, ("mwstowe/",), from_nothing=True),
    Stream("from nothing: pages", pages, ("watanabe-baketsu/",), from_nothing=True),
)
