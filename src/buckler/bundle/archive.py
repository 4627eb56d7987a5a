"""Opens a bundle that anyone may have written: bounded, checked, and free of code.

The file is a zip of stored entries. Sizes are checked before anything is read, digests before
anything is used. Nothing is unpacked to disk.
"""

from __future__ import annotations

from dataclasses import dataclass
from io import SEEK_END
from struct import Struct
from typing import TYPE_CHECKING
from zlib import crc32

import numpy as np
import numpy.typing as npt

from buckler.bundle.manifest import MAX_AUXILIARY, MAX_MANIFEST_BYTES, Manifest, parse_manifest
from buckler.errors import BundleError
from buckler.files import reading

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path  # see errors.py

MAX_BUNDLE_BYTES = 1 << 30
_ROW_STEP = 16  # columns that the kernel reads at once, where a table has several
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
# Headers of a zip file: of an entry, of its copy in the directory, and the end.
_LOCAL, _LOCAL_MARK = Struct("<4s5H3I2H"), b"PK\x03\x04"
_CENTRAL, _CENTRAL_MARK = Struct("<4s6H3I5H2I"), b"PK\x01\x02"
_END, _END_MARK = Struct("<4s4H2IH"), b"PK\x05\x06"
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


def full_table(
    tensors: Mapping[str, npt.NDArray[np.generic]], n_outputs: int
) -> npt.NDArray[np.int8]:
    """Return the table of an `ngram` model with rows as wide as the kernel reads them.

    Without a hidden layer, a file holds a column for each output; the others are zeros.

    Raises
    ------
    BundleError
        If there is no int8 table.
    """
    table = tensors.get("table")
    if table is None or table.dtype != np.int8:
        raise BundleError("weights: an int8 table is needed")
    stored = table.view(np.int8)
    if n_outputs < 2 or "head" in tensors or stored.ndim != 2 or stored.shape[1] != n_outputs:
        return stored
    return np.pad(stored, ((0, 0), (0, -n_outputs % _ROW_STEP)))


def ready_made_bundles() -> dict[str, Path]:
    """Return name -> file of the ready-made bundles, which lie in the package."""
    from pathlib import Path

    folder = Path(__file__).parents[1] / "models"
    return {path.stem: path for path in sorted(folder.glob("*.buckler"))}


def find_bundle(path: str | Path) -> str | Path:
    """Return the file of a bundle: this file, the only one in this folder, or the ready-made bundle
    of this name.

    Raises
    ------
    BundleError
        If a folder holds none or several, or a plain name is nothing of these.
    """
    from pathlib import Path

    name, place = str(path), Path(path)
    is_plain, bundles = not {*name} & {".", "/", "\\"}, ready_made_bundles()
    if is_plain and name in bundles and not place.is_file():
        return bundles[name]  # whatever folder has the name of its events
    if place.is_dir():
        held = sorted(place.glob("*.buckler"))
        if len(held) == 1:
            return held[0]
        names = f" ({', '.join(each.name for each in held[:5])})" if held else ""
        raise BundleError(f"{name}: a folder with {len(held)} bundles{names}; name one", path=path)
    if not is_plain or place.is_file():
        return path
    raise BundleError(
        f"{name[:60]}: no such file, and no ready-made bundle has this name; there are: "
        f"{', '.join(bundles) or 'none'}",
        path=path,
    )


def read_bundle(path: str | Path) -> Bundle:
    """Read and verify a bundle file, or the ready-made bundle of this name.

    Raises
    ------
    BundleError
        If the file is missing, damaged, altered, too large or too new.
    """
    path = find_bundle(path)
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
    """Return the entries of a zip file that holds nothing else.

    They stand one after the other from the first byte, and the directory repeats them up to the
    last. So no bytes stand around a signed bundle, and no two entries share theirs.
    """
    entries: dict[str, bytes] = {}
    directory: list[tuple[object, ...]] = []
    at = 0
    while data.startswith(_LOCAL_MARK, at) and len(data) - at >= _LOCAL.size:
        _, _, flags, method, _, _, crc, size, unpacked, n_name, n_extra = _LOCAL.unpack_from(
            data, at
        )
        start = at + _LOCAL.size + n_name
        name = data[at + _LOCAL.size : start].decode("ascii", "replace")
        if name not in _ENTRIES or name in entries:
            raise BundleError(f"unexpected file {name[:60]!r} in it")
        if flags or method or n_extra or size != unpacked:
            raise BundleError("it is compressed, encrypted or misstates its sizes")
        if size > len(data) - start:
            raise BundleError("not a sound bundle file: it is cut short")
        entries[name] = data[start : start + size]
        if crc32(entries[name]) != crc:
            raise BundleError(f"{name} has been altered or damaged (checksum differs)")
        directory.append((0, 0, crc, size, size, n_name, 0, 0, 0, at, name.encode()))
        at = start + size
    if not directory or _read_directory(data, at) != directory:
        raise BundleError("not a sound bundle file: its directory is not that of its files")
    return entries


def _read_directory(data: bytes, start: int) -> list[tuple[object, ...]]:
    """Return the fields of the directory that matter; dates and attributes do not."""
    found: list[tuple[object, ...]] = []
    at = start
    while data.startswith(_CENTRAL_MARK, at) and len(data) - at >= _CENTRAL.size:
        _, _, _, flags, method, _, _, crc, size, unpacked, n_name, *rest = _CENTRAL.unpack_from(
            data, at
        )
        n_extra, n_comment, disk, _, _, offset = rest
        at += _CENTRAL.size + n_name
        name = data[at - n_name : at]
        found.append(
            (flags, method, crc, size, unpacked, n_name, n_extra, n_comment, disk, offset, name)
        )
    end = _END.pack(_END_MARK, 0, 0, len(found), len(found), at - start, start, 0)
    return found if data[at:] == end else []
