"""Folders: each file that has arrived as a whole is scanned once."""

import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

from buckler.errors import BucklerError, InputError, OutputError
from buckler.files import path_text
from buckler.isolation import EventFault, attempt
from buckler.readers.reader import find_inputs
from buckler.runtime import Scorer
from buckler.serving.bundles import load_bundle
from buckler.serving.scan import ScanOptions, ScanResult, scan

_LOG = logging.getLogger("buckler.stream")
_Sizes = dict[Path, tuple[int, int]]


def watch_folder(
    bundle: Scorer | str | Path,
    folder: Path,
    output: Path,
    stop: threading.Event,
    options: ScanOptions | None = None,
    *,
    interval_s: float = 2.0,
    on_file: Callable[[ScanResult], None] | None = None,
) -> int:
    """Scan new files until `stop` is set; return how many were scanned.

    A file is scanned when its size and time are the same at two looks. Its verdicts stand in
    ``output`` under its name with ``.parquet`` behind it: a file whose verdicts exist is done, even
    if it changes later. An interrupted scan resumes. A file that cannot be read is logged, and
    tried again when it changes.

    Raises
    ------
    OutputError
        If input and output are one folder, or verdicts cannot be written.
    """
    if output.resolve() == folder.resolve():
        raise OutputError(f"{output}: verdicts need a folder of their own", path=output)
    output.mkdir(parents=True, exist_ok=True)
    options = options or ScanOptions()
    scorer = load_bundle(bundle, options.text_columns, options.trusted_key).scorer
    seen: _Sizes = {}
    refused: _Sizes = {}
    done = 0
    while True:
        now = _sizes(folder, options.format_name, output)
        for path, state in now.items():
            name = path.relative_to(folder).as_posix().replace("/", "__")
            target = output / f"{name}.parquet"
            if seen.get(path) != state or refused.get(path) == state or target.exists():
                continue
            if stop.is_set():
                return done
            result = attempt(partial(_scan_file, scorer, target, options), path)
            if isinstance(result, EventFault):
                refused[path] = state
                reason = {"file": path_text(path.name), "reason": result.reason}
                _LOG.error("not scanned", extra={"fields": reason})
                continue
            done += 1
            fields = {
                "file": path_text(path.name),
                "rows": result.rows,
                "detections": result.detections,
            }
            _LOG.info("scanned", extra={"fields": fields})
            if on_file is not None:
                on_file(result)
        seen = now
        if stop.wait(interval_s):
            return done


def _scan_file(scorer: Scorer, target: Path, options: ScanOptions, path: Path) -> ScanResult:
    try:
        return scan(scorer, [path], target, options)
    except OutputError:
        raise
    except BucklerError as error:  # one file may lack what others have
        raise InputError(str(error)) from error


def _sizes(folder: Path, format_name: str | None, output: Path) -> _Sizes:
    try:
        paths = find_inputs([folder], format_name)
    except BucklerError:  # nothing there yet
        return {}
    found: _Sizes = {}
    for path in paths:
        if output not in path.parents:
            with suppress(OSError):
                status = path.stat()
                found[path] = (status.st_size, status.st_mtime_ns)
    return found
