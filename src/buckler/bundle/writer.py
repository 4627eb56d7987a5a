"""Writes a bundle: all or nothing, and the same bytes for the same content."""

import zipfile
from dataclasses import replace
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors.numpy import save

from buckler.bundle.card import model_card
from buckler.bundle.manifest import Manifest
from buckler.bundle.reader import CARD, MANIFEST, SBOM, Bundle
from buckler.bundle.sbom import bill_of_materials
from buckler.files import write_atomically

_EPOCH = (1980, 1, 1, 0, 0, 0)


def write_bundle(path: Path, manifest: Manifest, files: dict[str, bytes]) -> Bundle:
    """Write a bundle and return it.

    Parameters
    ----------
    path
        Place of the file; an existing file is replaced at once or not at all.
    manifest, files
        See `assemble`.

    Raises
    ------
    OutputError
        If the file cannot be written; nothing is left behind then.
    """
    bundle = assemble(manifest, files)
    write_atomically(path, pack(bundle.entries))
    return bundle


def assemble(manifest: Manifest, files: dict[str, bytes]) -> Bundle:
    """Return a bundle in memory; model card and bill of materials are made here.

    Parameters
    ----------
    manifest
        Everything but `files`, which is filled in here.
    files
        The weights by the names that the reader knows, and the conformance vectors.
    """
    entries = {**files, CARD: model_card(manifest).encode(), SBOM: bill_of_materials(manifest)}
    manifest = replace(
        manifest,
        files={
            name: {"size_bytes": len(data), "sha256": sha256(data).hexdigest()}
            for name, data in entries.items()
        },
    )
    raw = manifest.to_json()
    return Bundle(manifest, {MANIFEST: raw, **entries}, sha256(raw).hexdigest())


def pack(entries: dict[str, bytes]) -> bytes:
    """Return the archive: stored, in this order, without times."""
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, data in entries.items():
            archive.writestr(zipfile.ZipInfo(name, _EPOCH), data)
    return buffer.getvalue()


def pack_tensors(tensors: dict[str, npt.NDArray[Any]]) -> bytes:
    """Return arrays as a safetensors file."""
    return save({name: np.ascontiguousarray(t) for name, t in tensors.items()})
