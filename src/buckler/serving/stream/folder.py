"""A folder that is watched: each file that has come in whole is scanned once."""

import logging
import threading
from collections.abc import Callable
from pathlib import Path

from buckler.errors import BucklerError, OutputError
from buckler.readers.reader import find_inputs
from buckler.runtime import Scorer
from buckler.serving.scan import ScanResult, ScanSettings, scan

_LOG = logging.getLogger("buckler.stream")
Sizes = dict[Path, tuple[int, int]]


def watch_folder(
    scorer: Scorer,
    folder: Path,
    output: Path,
    settings: ScanSettings,
    stop: threading.Event,
    *,
    every_s: float = 2.0,
    suffix: str = ".parquet",
    on_file: Callable[[ScanResult], None] | None = None,
) -> int:
    """Scan new files until `stop` is set; return how many were scanned.

    A file is taken when its size and time were the same at two looks; move files in, then one look
    is enough. Its verdicts stand in ``output`` under its name, and that they do is how it is known
    to be done: a scan that was cut off goes on where it stopped, and a file that changes later is
    not taken again. A file that cannot be read is logged and tried again when it changes.

    Raises
    ------
    OutputError
        If input and output are one folder, or verdicts cannot be written.
    """
    if output.resolve() == folder.resolve():
        raise OutputError(f"{output}: verdicts need a folder of their own")
    output.mkdir(parents=True, exist_ok=True)
    seen: Sizes = {}
    refused: Sizes = {}
    done = 0
    while True:
        now = _sizes(folder, settings.format_name, output)
        for path, state in now.items():
            target = output / f"{path.relative_to(folder).as_posix().replace('/', '__')}{suffix}"
            if seen.get(path) != state or refused.get(path) == state or target.exists():
                continue
            if stop.is_set():
                return done
            try:
                result = scan(scorer, [path], target, settings)
            except OutputError:
                raise
            except BucklerError as error:
                refused[path] = state
                _LOG.error(
                    "not scanned", extra={"fields": {"file": path.name, "reason": str(error)}}
                )
                continue
            done += 1
            told = {"file": path.name, "rows": result.rows, "detections": result.detections}
            _LOG.info("scanned", extra={"fields": told})
            if on_file is not None:
                on_file(result)
        seen = now
        if stop.wait(every_s):
            return done


def _sizes(folder: Path, format_name: str | None, output: Path) -> Sizes:
    try:
        paths = find_inputs([folder], format_name)
    except BucklerError:  # nothing there yet
        return {}
    found: Sizes = {}
    for path in paths:
        if output in path.parents:
            continue
        try:
            status = path.stat()
        except OSError:
            continue
        found[path] = (status.st_size, status.st_mtime_ns)
    return found
