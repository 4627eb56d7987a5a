"""Keeps the output of each stage under a hash of all that went into it, so a run can go on."""

import json
import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from buckler.errors import OutputError

_BLOCK_BYTES = 1 << 20


@dataclass(frozen=True)
class StageOutput:
    """What a stage left: a folder, the key that names it, and its summary.

    Attributes
    ----------
    folder
        Holds its files.
    key
        Hash of the stage's settings and inputs; goes into the keys of later stages.
    summary
        What to tell about it.
    reused
        Whether an earlier run had already done it.
    """

    folder: Path
    key: str
    summary: dict[str, Any]
    reused: bool


class Stages:
    """The stages of one run.

    Parameters
    ----------
    root
        Folder that holds a folder for each stage.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def run(
        self,
        name: str,
        inputs: dict[str, Any],
        work: Callable[[Path], dict[str, Any]],
    ) -> StageOutput:
        """Do a stage, or take over what an earlier run left for the same inputs.

        Parameters
        ----------
        name
            Of the stage; holds a version, to be raised when its work changes.
        inputs
            Everything that decides its output, as JSON types.
        work
            Writes files into the folder that it is given, and returns the summary. The folder
            appears under its final name only when it is complete.

        Raises
        ------
        OutputError
            If the folder cannot be written.
        """
        key = sha256(json.dumps([name, inputs], sort_keys=True, default=str).encode()).hexdigest()
        folder = self.root / f"{name}-{key[:16]}"
        done = folder / "stage.json"
        try:
            if done.exists():
                return StageOutput(folder, key, json.loads(done.read_bytes())["summary"], True)
            self.root.mkdir(parents=True, exist_ok=True)
            self._sweep()
            temporary = Path(tempfile.mkdtemp(dir=self.root, prefix=f".{name}-{os.getpid()}-"))
        except OSError as error:
            raise OutputError(f"{folder}: cannot be written ({error.strerror})") from error
        except (ValueError, KeyError) as error:
            raise OutputError(f"{done} is damaged; delete {folder}") from error
        try:
            summary = work(temporary)
            (temporary / "stage.json").write_text(
                json.dumps({"key": key, "inputs": inputs, "summary": summary}, default=str)
            )
            temporary.rename(folder)
        except OSError as error:
            raise OutputError(f"{folder}: cannot be written ({error.strerror})") from error
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        return StageOutput(folder, key, summary, False)

    def _sweep(self) -> None:
        """Remove what killed runs left behind; those of living processes stay."""
        for folder in self.root.glob(".*-*-*"):
            owner = folder.name.split("-")[-2]
            if owner.isdigit() and not Path(f"/proc/{owner}").exists():
                shutil.rmtree(folder, ignore_errors=True)
