"""Opens a bundle that anyone may have written: bounded, checked, and free of code.

The file is a zip of stored entries. Sizes are checked before anything is read, digests before
anything is used. Nothing is unpacked to disk.
"""

from __future__ import annotations

from dataclasses import dataclass
from io import SEEK_END, BytesIO
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from buckler.bundle.manifest import MAX_AUXILIARY, MAX_MANIFEST_BYTES, Manifest, parse_manifest
from buckler.errors import BundleError
from buckler.files import reading

if TYPE_CHECKING:
    from pathlib import Path  # see errors.py

MAX_BUNDLE_BYTES = 1 << 30
MANIFEST = "manifest.json"
WEIGHTS = "weights.safetensors"
VECTORS = "vectors.json"
CARD = "card.md"
SIGNATURE = "signature.json"
SBOM = "sbom.cdx.json"
ONNX = "model.onnx"
MAX_STAGES = 8
STAGES = tuple(f"stage-{i}.buckler" for i in range(1, MAX_STAGES + 1))
AUXILIARY = tuple(f"auxiliary-{i}.buckler" for i in range(1, MAX_AUXILIARY + 1))
_ENTRIES = {MANIFEST, WEIGHTS, ONNX, *STAGES, *AUXILIARY, VECTORS, CARD, SBOM, SIGNATURE}


@dataclass(frozen=True)
class Bundle:
    """A bundle whose sizes and digests have been verified.

    Attributes
    ----------
    manifest
        Description of the bundle.
    entries
        The content of every file in it.
    sha256
        Digest of the manifest, which holds the digests of all the rest: names this very bundle.
    """

    manifest: Manifest
    entries: dict[str, bytes]
    sha256: str

    @property
    def weights(self) -> dict[str, bytes]:
        """The files that the runtime model reads."""
        return {n: data for n, data in self.entries.items() if n in (WEIGHTS, ONNX, *STAGES)}

    @property
    def auxiliary(self) -> dict[str, bytes]:
        """The bundles of the auxiliary classifiers."""
        return {n: data for n, data in self.entries.items() if n in AUXILIARY}

    @property
    def raw_manifest(self) -> bytes:
        """The manifest to the byte, as it was read."""
        return self.entries[MANIFEST]


def parse_tensors(data: bytes | None) -> dict[str, npt.NDArray[np.generic]]:
    """Return the arrays of a safetensors file.

    Raises
    ------
    BundleError
        If it is missing or not sound.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    if data is None:
        raise BundleError(f"no {WEIGHTS} in it")
    try:
        return load(data)
    except (SafetensorError, ValueError, KeyError, TypeError, OverflowError) as error:
        raise BundleError(f"the weights are not sound: {str(error)[:100]}") from error


def read_bundle(path: str | Path) -> Bundle:
    """Read and verify a bundle file.

    Raises
    ------
    BundleError
        If the file is missing, damaged, altered, too large or too new.
    """
    with reading(path, BundleError), open(path, "rb") as file:  # noqa: PTH123 - see errors.py
        size = file.seek(0, SEEK_END)
        if size > MAX_BUNDLE_BYTES:
            raise BundleError(f"{path}: {size:,} bytes are too many for a bundle", path=path)
        file.seek(0)
        data = file.read(size)
    try:
        return parse_bundle(data)
    except BundleError as error:
        raise BundleError(f"{path}: {error}", path=path) from error


def parse_bundle(data: bytes) -> Bundle:
    """Verify a bundle that is already in memory; see `read_bundle`."""
    from hashlib import sha256

    entries = _unzip(data)
    if MANIFEST not in entries:
        raise BundleError("no manifest.json in it: not a Buckler bundle")
    raw_manifest = entries[MANIFEST]
    if len(raw_manifest) > MAX_MANIFEST_BYTES:
        raise BundleError("the manifest is too large")
    manifest = parse_manifest(raw_manifest)
    if entries.keys() - {MANIFEST, SIGNATURE} != set(manifest.files):
        raise BundleError("its files are not those that the manifest lists")
    for name, stated in manifest.files.items():
        digest = sha256(entries[name]).hexdigest()
        if len(entries[name]) != stated["size_bytes"] or digest != stated["sha256"]:
            raise BundleError(f"{name} has been altered or damaged (size or digest differs)")
    return Bundle(manifest, entries, sha256(raw_manifest).hexdigest())


def _unzip(data: bytes) -> dict[str, bytes]:
    import zipfile  # and what it imports: only where a bundle is read

    entries: dict[str, bytes] = {}
    try:
        with zipfile.ZipFile(BytesIO(data)) as archive:
            infos = archive.infolist()
            if len(infos) > len(_ENTRIES):
                raise BundleError("it holds more files than a bundle has")
            for info in infos:
                if info.filename not in _ENTRIES or info.filename in entries:
                    raise BundleError(f"unexpected file {info.filename[:60]!r} in it")
                if info.compress_type != zipfile.ZIP_STORED or info.file_size > len(data):
                    raise BundleError("it is compressed or misstates its sizes")
                if info.flag_bits & 1:
                    raise BundleError("it is encrypted")
                entries[info.filename] = archive.read(info)
    except (zipfile.BadZipFile, EOFError, ValueError, NotImplementedError, OSError) as error:
        raise BundleError(f"not a sound bundle file: {str(error)[:100]}") from error
    except (RuntimeError, IndexError, OverflowError, MemoryError) as error:
        raise BundleError(f"not a sound bundle file: {type(error).__name__}") from error
    return entries
