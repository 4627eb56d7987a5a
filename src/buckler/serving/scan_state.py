"""State of a scan: what is written at each checkpoint, so that the same scan resumes there."""

import json
import shutil
from dataclasses import asdict, dataclass, field
from pathlib import Path

from buckler.errors import OutputError
from buckler.files import write_atomically, writing
from buckler.readers.quarantine import Quarantine, QuarantineMark
from buckler.serving.sinks import Sink


@dataclass
class ScanState:
    """Progress of a scan over all of its calls; written at each checkpoint.

    Attributes
    ----------
    key
        Choices that decide the content of the output.
    file, cursor
        The input at work, and the position of its reader.
    sink_position, quarantine_bytes
        Length of the output files that counts.
    rows, detections, challengers
        Rows and detections written so far; challenger -> number of events by who detected them.
    reasons, passed_over
        Reason -> number of rows set aside; kind -> number of rows that are other events.
    """

    key: dict[str, object]
    file: int = 0
    cursor: int = 0
    sink_position: int = 0
    quarantine_bytes: int = 0
    rows: int = 0
    detections: int = 0
    reasons: dict[str, int] = field(default_factory=dict)
    passed_over: dict[str, int] = field(default_factory=dict)
    challengers: dict[str, dict[str, int]] = field(default_factory=dict)


def open_state(folder: Path, key: dict[str, object], *, restart: bool) -> ScanState:
    """Return the state of an interrupted scan, or a new one."""
    file = folder / "state.json"
    with writing(folder):
        if restart and folder.exists():
            shutil.rmtree(folder)
        if not file.exists():
            folder.mkdir(parents=True, exist_ok=True)
            return ScanState(key)
        saved = file.read_bytes()
    try:
        state = ScanState(**json.loads(saved))
    except (ValueError, TypeError) as error:
        raise OutputError(
            f"{file} is damaged; restart to begin again", path=file, field="restart"
        ) from error
    if state.key != key:
        raise OutputError(
            f"{folder} is an unfinished scan with another bundle, other input files or "
            "other options; finish that one, or restart to throw it away",
            path=folder,
            field="restart",
        )
    return state


def open_quarantine(path: Path, state: ScanState) -> Quarantine:
    """Return the quarantine, cut to what the state counts."""
    if path.exists():
        with path.open("r+b") as file:
            file.truncate(state.quarantine_bytes)
    quarantine = Quarantine(path, resume=True)
    quarantine.reasons.update(state.reasons)
    quarantine.passed_over.update(state.passed_over)
    return quarantine


def write_checkpoint(
    state: ScanState, sink: Sink, quarantine: Quarantine, mark: QuarantineMark
) -> None:
    """Make all rows so far safe on disk, and note where to resume."""
    state.sink_position = sink.checkpoint()
    quarantine.flush()
    state.quarantine_bytes = mark.size_bytes
    state.reasons, state.passed_over = mark.reasons, mark.passed_over
    write_atomically(sink.folder / "state.json", json.dumps(asdict(state)).encode())
