"""Exchange with other annotation tools, Label Studio and Argilla: the queue out, labels back."""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

import numpy as np
from sqlalchemy import Connection, select, update

from buckler.dataset import event_id
from buckler.errors import InputError
from buckler.files import read_bytes, reading, unique_keys, write_atomically
from buckler.labels import AnnotationColumns, Annotator
from buckler.labels.database import IDS_PER_QUERY
from buckler.readers.quarantine import Quarantine
from buckler.readers.times import seconds_of
from buckler.review.label_recorder import MAX_NOTE
from buckler.review.queue import Item, Queue, to_item
from buckler.review.review_tables import ITEMS, State
from buckler.tasks import Task

MAX_BYTES = 256 << 20
_MAX_TEXT = 100_000
_LABEL, _TEXT = "label", "text"


class Tool(StrEnum):
    """A supported annotation tool."""

    LABEL_STUDIO = "label-studio"
    ARGILLA = "argilla"


@dataclass(frozen=True)
class Answer:
    """A label that a person gave an event in another tool.

    Attributes
    ----------
    event_id
        The exported id; None where the record has lost it.
    at_s
        Time of the label, in seconds since 1970.
    """

    event_id: bytes | None
    text: str
    label: str
    who: str
    note: str
    at_s: int


def export_queue(queue: Queue, tool: Tool, target: Path, limit: int) -> int:
    """Write the waiting items, highest acquisition score first; return their number.

    Label Studio gets tasks with the bundle's verdict as prediction, and the labeling interface in
    an ``.xml`` file. Argilla gets records for ``Dataset.records.log``.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    query = (
        select(ITEMS)
        .where(ITEMS.c.task_id == queue.task_id, ITEMS.c.state == State.OPEN)
        .order_by(ITEMS.c.acquisition.desc(), ITEMS.c.id.desc())
        .limit(limit)
    )
    with queue.store.reading() as connection:
        items = [to_item(row) for row in connection.execute(query)]
    texts = queue.store.texts([item.event_id for item in items])
    form = _FORMS[tool][0]
    records = [
        form(item, queue.task.readable(texts.get(item.event_id, b""))[:_MAX_TEXT], queue.task)
        for item in items
    ]
    write_atomically(target, json.dumps(records, ensure_ascii=False, indent=1).encode())
    if tool is Tool.LABEL_STUDIO:
        write_atomically(target.with_suffix(".xml"), labeling_interface(queue.task).encode())
    return len(records)


def import_answers(queue: Queue, tool: Tool, source: Path, quarantine: Quarantine) -> int:
    """Store labels from another tool as annotations; return the number of new ones.

    The store must know the event of a label, or the record must hold its whole text. The event's
    item leaves the queue.

    Raises
    ------
    InputError
        If the file cannot be read, or is not the tool's export.
    """
    task, store, added = queue.task, queue.store, 0
    by_person: dict[str, list[tuple[bytes, int, Answer]]] = {}
    texts: dict[bytes, bytes] = {}  # of the events that records hold whole
    for row, record in enumerate(_records(source), 1):
        try:
            answers = list(_FORMS[tool][1](record))
        except (KeyError, TypeError, ValueError, AttributeError, IndexError):
            quarantine.add(source, row, f"no sound record of {tool}", repr(record)[:200])
            continue
        if not answers:
            quarantine.pass_over("records without an answer")
        for answer in answers:
            try:
                label = task.class_index(answer.label)
            except InputError:
                reason = f"label {answer.label[:40]!r} is no class of {task.name}"
                quarantine.add(source, row, reason, answer.text)
                continue
            text = answer.text.encode("utf-8", "surrogatepass")
            own_id = _id_of(text, task)
            if own_id is not None and answer.event_id in (None, own_id):
                texts[own_id] = text
            known_id = answer.event_id or own_id
            if known_id is None:
                quarantine.add(source, row, "neither the id of an event nor its row", text)
                continue
            by_person.setdefault(answer.who, []).append((known_id, label, answer))
    for who, said in by_person.items():
        ids = [i for i, _, _ in said]
        new = [i for i in ids if i in texts]
        store.add_events(new, [texts[i] for i in new])
        known = {*store.texts(ids), *new}
        kept = [each for each in said if each[0] in known]
        for _ in range(len(said) - len(kept)):
            quarantine.add(source, 0, "the label store does not hold this event")
        if not kept:
            continue
        with store.transaction() as connection:
            added += store.add_arrays(
                task,
                Annotator(who[:100], str(tool), "human"),
                [i for i, _, _ in kept],
                np.eye(len(task.classes), dtype=np.float32)[[label for _, label, _ in kept]],
                AnnotationColumns(
                    rationales=[a.note[:MAX_NOTE] or None for _, _, a in kept],
                    created_s=[a.at_s for _, _, a in kept],
                ),
            )
            for label in {label for _, label, _ in kept}:
                _close(connection, queue, [i for i, k, _ in kept if k == label], label)
    return added


def labeling_interface(task: Task) -> str:
    """Return the configuration of a Label Studio project for a task."""
    choices = "\n".join(f"    <Choice value={quoteattr(name)}/>" for name in task.classes)
    return (
        f'<View>\n  <Text name="{_TEXT}" value="$text"/>\n'
        f'  <Choices name="{_LABEL}" toName="{_TEXT}" choice="single" required="true">\n'
        f"{choices}\n  </Choices>\n</View>\n"
    )


# --- Label Studio --------------------------------------------------------------------------------


def _studio_task(item: Item, text: str, task: Task) -> dict[str, Any]:
    record: dict[str, Any] = {
        "data": {"text": text, "event_id": item.event_id.hex(), "reason": item.reason}
    }
    if not item.blind:
        choice = {"choices": [task.class_names[item.predicted_label]]}
        result = {
            "from_name": _LABEL,
            "to_name": _TEXT,
            "type": "choices",
            "value": choice,
        }
        record["predictions"] = [
            {"model_version": "buckler", "score": round(item.score, 6), "result": [result]}
        ]
    return record


def _studio_answers(record: dict[str, Any]) -> Iterator[Answer]:
    data = record["data"]
    for annotation in record.get("annotations") or []:
        if annotation.get("was_cancelled"):
            continue
        by = annotation.get("completed_by")
        who = str(by.get("email") or by.get("id")) if isinstance(by, dict) else str(by)
        for result in annotation.get("result") or []:
            if result.get("type") != "choices" or result.get("from_name") != _LABEL:
                continue
            (label,) = result["value"]["choices"]
            notes = [
                note if isinstance(note, str) else " ".join(map(str, note))
                for other in annotation["result"]
                if other.get("type") == "textarea" and (note := other["value"].get("text"))
            ]
            yield Answer(
                _parse_id(data.get("event_id")),
                str(data.get("text", "")),
                str(label),
                f"label-studio:{who}",
                " ".join(notes),
                _unix_seconds(annotation.get("created_at")),
            )


# --- Argilla -------------------------------------------------------------------------------------


def _argilla_record(item: Item, text: str, task: Task) -> dict[str, Any]:
    record: dict[str, Any] = {
        "id": item.event_id.hex(),
        "fields": {"text": text},
        "metadata": {"reason": item.reason},
        "suggestions": {},
        "responses": {},
        "vectors": {},
    }
    if not item.blind:
        suggestion = {
            "value": task.class_names[item.predicted_label],
            "score": round(item.score, 6),
            "agent": "buckler",
        }
        record["suggestions"] = {_LABEL: suggestion}
    return record


def _argilla_answers(record: dict[str, Any]) -> Iterator[Answer]:
    for response in (record.get("responses") or {}).get(_LABEL) or []:
        if response.get("status", "submitted") not in ("submitted", None):
            continue
        yield Answer(
            _parse_id(record.get("id")),
            str(record["fields"].get("text", "")),
            str(response["value"]),
            f"argilla:{response.get('user_id') or 'unknown'}",
            "",
            _unix_seconds(record.get("updated_at")),
        )


_Form = tuple[
    Callable[[Item, str, Task], dict[str, Any]], Callable[[dict[str, Any]], Iterator[Answer]]
]
_FORMS: dict[Tool, _Form] = {
    Tool.LABEL_STUDIO: (_studio_task, _studio_answers),
    Tool.ARGILLA: (_argilla_record, _argilla_answers),
}


# --- parts ---------------------------------------------------------------------------------------


def _records(source: Path) -> list[Any]:
    """Return the records of a JSON array or of JSON lines; None in place of an unsound one."""
    with reading(source):
        if source.stat().st_size > MAX_BYTES:
            raise InputError(f"{source}: larger than {MAX_BYTES >> 20} MiB; export it in parts")
    data = read_bytes(source)
    try:
        # A bad byte becomes a lone surrogate and spoils one record only.
        text = data.decode(json.detect_encoding(data), "surrogateescape")
        if text.lstrip()[:1] == "[":
            return list(json.loads(text, object_pairs_hook=_object))
        # Not `splitlines`: it also splits at characters that a JSON string may hold.
        records = [_line(line) for line in text.split("\n") if line.strip()]
    except (ValueError, RecursionError) as error:
        raise InputError(f"{source}: not JSON ({str(error)[:100]})", path=source) from error
    if records and not any(records):
        raise InputError(f"{source}: not JSON, in no line", path=source)
    return records


def _line(line: str) -> object:
    try:
        return json.loads(line, object_pairs_hook=_object)
    except (ValueError, RecursionError):
        return None


def _object(pairs: list[tuple[str, object]]) -> dict[str, object] | None:
    try:
        return unique_keys(pairs)
    except ValueError:  # a key with two values: nobody knows which was meant
        return None


def _parse_id(value: object) -> bytes | None:
    try:
        found = bytes.fromhex(str(value))
    except ValueError:
        return None
    return found if len(found) == 16 else None


def _id_of(text: bytes, task: Task) -> bytes | None:
    """Return the id of an event as read; None where the text cannot be one.

    A task of rows may get a text for people, and a tool may have cut a character in half.
    """
    try:
        text.decode()
        return event_id(text, task)
    except (InputError, UnicodeDecodeError):
        return None


def _unix_seconds(value: object) -> int:
    return seconds_of(value) or int(time.time())


def _close(connection: Connection, queue: Queue, ids: list[bytes], label: int) -> None:
    """Close the items that were labeled in another tool."""
    for start in range(0, len(ids), IDS_PER_QUERY):
        connection.execute(
            update(ITEMS)
            .where(
                ITEMS.c.task_id == queue.task_id,
                ITEMS.c.event_id.in_(ids[start : start + IDS_PER_QUERY]),
                ITEMS.c.state == State.OPEN,
            )
            .values(state=int(State.DONE), analyst_label=label, claimed_by=None, claimed_until=0)
        )
