"""pe-v1: a Windows program as a row of numbers, computed from its bytes; the program never runs.

The groups follow EMBER (Anderson and Roth 2018, arXiv 1804.04637): headers, sections, imports,
exports, strings, histograms of bytes and of bytes with their entropy; plus the Rich header and the
signature. The header fields have the names of ClaMP (Kumar et al. 2017), so that a model of such a
table scores programs. A feature never changes under this id: a change is a new id.
"""

import math
import struct
from collections.abc import Iterable
from functools import cache
from typing import Any
from zlib import crc32

import numpy as np
import numpy.typing as npt

from buckler.errors import InputError
from buckler.extras import import_extra
from buckler.normalize.feature_schema import FeatureSchema

MAX_FILE_BYTES = 64 << 20
MAX_IMPORTS = 20_000
MAX_SECTIONS = 96
_BLOCK = 1024
# Errors that pefile lets through where a file is damaged.
_PARSER_ERRORS = (
    *(ArithmeticError, AssertionError, AttributeError, LookupError, MemoryError, RecursionError),
    *(TypeError, ValueError, struct.error),
)
_BYTE_BINS, _ENTROPY_BINS = 256, 256
_SECTION_BINS, _LIBRARY_BINS, _FUNCTION_BINS, _EXPORT_BINS, _RICH_BINS = 32, 128, 512, 64, 32
_ORDINARY_SECTIONS = frozenset(
    (b".text", b".data", b".rdata", b".idata", b".edata", b".rsrc", b".bss", b".crt", b".tls")
)
_DIRECTORIES = (
    *("export", "import", "resource", "exception", "security", "relocation", "debug"),
    *("architecture", "global_ptr", "tls", "load_config", "bound_import", "iat", "delay_import"),
    *("clr", "reserved"),
)
# Bits of the file header's and of the optional header's characteristics, reserved ones left out.
_FILE_BITS = (0, 1, 2, 3, 4, 5, 7, 8, 9, 10, 11, 12, 13, 14, 15)
_DLL_BITS = (5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)
_DOS = ("e_cblp", "e_cp", "e_cparhdr", "e_maxalloc", "e_sp", "e_lfanew")
_OPTIONAL = (
    *("MajorLinkerVersion", "MinorLinkerVersion", "SizeOfCode", "SizeOfInitializedData"),
    *("SizeOfUninitializedData", "AddressOfEntryPoint", "BaseOfCode", "BaseOfData"),
    *("MajorOperatingSystemVersion", "MinorOperatingSystemVersion", "MajorImageVersion"),
    *("MinorImageVersion", "MajorSubsystemVersion", "MinorSubsystemVersion", "CheckSum"),
    *("Subsystem", "SizeOfStackReserve", "SizeOfStackCommit", "SizeOfHeapReserve"),
    "SizeOfHeapCommit",
)
_FLAGS = (
    *("CreationYear", "ImageBase", "SectionAlignment", "FileAlignment", "SizeOfImage"),
    *("SizeOfHeaders", "LoaderFlags"),
)
_OWN = (
    *("sus_sections", "non_sus_sections", "E_text", "E_data", "filesize", "E_file", "fileinfo"),
    *("is_64_bit", "machine", "timestamp_days", "virtual_size", "overlay_bytes", "overlay_entropy"),
    *("symbols", "sections_empty", "sections_unnamed", "sections_executable", "sections_writable"),
    *("sections_both", "section_entropy_most", "entry_section", "entry_entropy"),
    *("imported_libraries", "imported_functions", "imported_by_number", "exported_functions"),
    *("rich_entries", "rich_present", "signature_bytes", "import_damaged"),
    *("strings", "string_length", "string_letters", "string_paths", "string_urls"),
    *("string_registry", "string_programs", "string_entropy"),
)


NUMBERS: tuple[str, ...] = (
    *_DOS,
    "NumberOfSections",
    *(f"FH_char{i}" for i in range(len(_FILE_BITS))),
    *_OPTIONAL,
    *(f"OH_DLLchar{i}" for i in range(len(_DLL_BITS))),
    *_FLAGS,
    *_OWN,
    *(f"directory_{name}_{what}" for name in _DIRECTORIES for what in ("size", "address")),
    *(f"byte_{i}" for i in range(_BYTE_BINS)),
    *(f"byte_entropy_{i}" for i in range(_ENTROPY_BINS)),
    *(f"section_size_{i}" for i in range(_SECTION_BINS)),
    *(f"section_entropy_{i}" for i in range(_SECTION_BINS)),
    *(f"library_{i}" for i in range(_LIBRARY_BINS)),
    *(f"function_{i}" for i in range(_FUNCTION_BINS)),
    *(f"export_{i}" for i in range(_EXPORT_BINS)),
    *(f"rich_{i}" for i in range(_RICH_BINS)),
)
_KNOWN = frozenset(NUMBERS)
_OF_ENTROPY = frozenset(f"byte_entropy_{i}" for i in range(_ENTROPY_BINS))
_OF_STRINGS = frozenset(name for name in _OWN if name.startswith("string"))
_OF_TABLES = frozenset(
    name
    for name in NUMBERS
    if name.startswith(("import", "export", "library_", "function_", "rich_"))
)


def check_names(features: FeatureSchema) -> str | None:
    """Return the fault of a schema that names other features than pe-v1, or None."""
    unknown = [name for name in features.names if name not in _KNOWN]
    if not unknown:
        return None
    return (
        f"{len(unknown)} of {len(features)} features are none of pe-v1, such as "
        f"{', '.join(name[:40] for name in unknown[:3])}: they were made for another version"
    )


def program_row(raw: str | bytes, features: FeatureSchema) -> bytes:
    """Return the normalized row of a program, or of a row that is a JSON object.

    Raises
    ------
    InputError
        If it is neither.
    """
    data = raw.encode("utf-8", "surrogatepass") if isinstance(raw, str) else raw
    if data.startswith(b"MZ"):
        return features.row(extract(data, features.names))
    return features.normalize(data)


def extract(data: bytes, names: Iterable[str] = NUMBERS) -> dict[str, float]:
    """Return the features of a program, except those that damage hides.

    Groups of which no feature is among `names` are not computed.

    Raises
    ------
    InputError
        If the bytes are no PE file.
    MissingExtraError
        If the extra `formats` is not installed.
    """
    pefile = import_extra("pefile", "reading PE files", "formats")
    errors = (pefile.PEFormatError, *_PARSER_ERRORS)
    data = data[:MAX_FILE_BYTES]
    try:
        pe = _parser(pefile.PE)(data=data, fast_load=True)
    except errors as error:
        raise InputError(f"not a sound PE file: {str(error)[:120]}") from error
    wanted = frozenset(names)
    features = {**_headers(pe, data), **_sections(pe, data), **_content(data, wanted)}
    if wanted & _OF_TABLES:
        features |= _tables(pe, errors)
    return features


@cache
def _parser(library: type) -> Any:
    """Return the library's parser without its end: a full garbage collection for each file."""
    return type("_Parser", (library,), {"_close_data": lambda self: None})  # noqa: ARG005


# --- headers ------------------------------------------------------------------------------------


def _headers(pe: Any, data: bytes) -> dict[str, float]:
    file, optional = pe.FILE_HEADER, pe.OPTIONAL_HEADER
    found = {name: float(getattr(pe.DOS_HEADER, name, math.nan)) for name in _DOS}
    found["NumberOfSections"] = file.NumberOfSections
    for i, bit in enumerate(_FILE_BITS):
        found[f"FH_char{i}"] = file.Characteristics >> bit & 1
    dll = int(getattr(optional, "DllCharacteristics", 0))
    for i, bit in enumerate(_DLL_BITS):
        found[f"OH_DLLchar{i}"] = dll >> bit & 1
    for name in _OPTIONAL:
        value = getattr(optional, name, None)
        found[name] = math.nan if value is None else float(value)
    section, aligned = int(optional.SectionAlignment), int(optional.FileAlignment)
    year = 1970 + file.TimeDateStamp / 31_556_952
    found |= {  # ClaMP's yes-or-no features
        "CreationYear": float(1980 <= year <= 2015),
        "ImageBase": float(optional.ImageBase in (0x400000, 0x10000000, 0x10000, 0x1000000)),
        "SectionAlignment": float(section >= aligned),
        "FileAlignment": float(512 <= aligned <= 65536 and aligned & (aligned - 1) == 0),
        "SizeOfImage": float(section > 0 and optional.SizeOfImage % max(section, 1) == 0),
        "SizeOfHeaders": float(aligned > 0 and optional.SizeOfHeaders % max(aligned, 1) == 0),
        "LoaderFlags": float(optional.LoaderFlags == 0),
        "filesize": float(len(data)),
        "is_64_bit": float(optional.Magic == 0x20B),
        "machine": float(file.Machine),
        "timestamp_days": file.TimeDateStamp / 86_400,
        "virtual_size": float(optional.SizeOfImage),
        "symbols": float(file.NumberOfSymbols),
    }
    directories = list(getattr(optional, "DATA_DIRECTORY", ()))[: len(_DIRECTORIES)]
    for name, entry in zip(_DIRECTORIES, directories, strict=False):
        found[f"directory_{name}_size"] = float(entry.Size)
        found[f"directory_{name}_address"] = float(entry.VirtualAddress)
    found["signature_bytes"] = found.get("directory_security_size", 0.0)
    return found


# --- sections -----------------------------------------------------------------------------------


def _sections(pe: Any, data: bytes) -> dict[str, float]:
    entry = int(pe.OPTIONAL_HEADER.AddressOfEntryPoint)
    sizes, entropies = np.zeros(_SECTION_BINS), np.zeros(_SECTION_BINS)
    found = dict.fromkeys(
        ("sections_empty", "sections_unnamed", "sections_executable", "sections_writable",
         "sections_both", "sus_sections", "non_sus_sections"), 0.0)  # fmt: skip
    found |= {"E_text": 0.0, "E_data": 0.0, "section_entropy_most": 0.0}
    end = 0
    for number, section in enumerate(pe.sections[:MAX_SECTIONS]):
        name = bytes(section.Name).rstrip(b"\0").lower()
        start, size = int(section.PointerToRawData), int(section.SizeOfRawData)
        entropy = _entropy(_counts(data[start : start + size]))
        end = max(end, min(len(data), start + size))
        slot = crc32(name) % _SECTION_BINS
        sizes[slot] += size
        entropies[slot] = max(entropies[slot], entropy)
        flags = int(section.Characteristics)
        executable, writable = flags >> 29 & 1, flags >> 31 & 1
        found["sections_empty"] += size == 0
        found["sections_unnamed"] += not name
        found["sections_executable"] += executable
        found["sections_writable"] += writable
        found["sections_both"] += executable & writable
        ordinary = name in _ORDINARY_SECTIONS
        found["non_sus_sections" if ordinary else "sus_sections"] += 1
        found["section_entropy_most"] = max(found["section_entropy_most"], entropy)
        if name in (b".text", b"code"):
            found["E_text"] = entropy
        elif name in (b".data", b"data"):
            found["E_data"] = entropy
        begin = int(section.VirtualAddress)
        if begin <= entry < begin + max(int(section.Misc_VirtualSize), size):
            found["entry_section"], found["entry_entropy"] = float(number), entropy
    found |= {f"section_size_{i}": float(v) for i, v in enumerate(sizes)}
    found |= {f"section_entropy_{i}": float(v) for i, v in enumerate(entropies)}
    overlay = data[end:] if end else b""
    found["overlay_bytes"] = float(len(overlay))
    found["overlay_entropy"] = _entropy(_counts(overlay))
    return found


# --- imports, exports, the Rich header ----------------------------------------------------------


def _tables(pe: Any, damage: tuple[type[Exception], ...]) -> dict[str, float]:
    found: dict[str, float] = {"import_damaged": 0.0}
    libraries: list[bytes] = []
    functions: list[bytes] = []
    exports: list[bytes] = []
    by_number = 0
    try:
        pe.parse_data_directories(directories=[0, 1])
        for library in getattr(pe, "DIRECTORY_ENTRY_IMPORT", ())[:MAX_IMPORTS]:
            name = bytes(library.dll or b"").lower()
            libraries.append(name)
            for function in library.imports[: MAX_IMPORTS - len(functions)]:
                by_number += function.name is None
                functions.append(
                    name + b":" + bytes(function.name or b"#%d" % (function.ordinal or 0))
                )
        table = getattr(pe, "DIRECTORY_ENTRY_EXPORT", None)
        if table is not None:
            exports = [bytes(symbol.name or b"") for symbol in table.symbols[:MAX_IMPORTS]]
        rich = pe.parse_rich_header()
    except damage:
        found["import_damaged"], rich = 1.0, None
    entries = [] if rich is None else list(rich.get("values", ()))[: 2 * MAX_SECTIONS]
    pairs = [b"%d" % value for value in entries[::2]]
    found |= {
        "imported_libraries": float(len(libraries)),
        "imported_functions": float(len(functions)),
        "imported_by_number": float(by_number),
        "exported_functions": float(len(exports)),
        "rich_present": float(rich is not None),
        "rich_entries": float(len(pairs)),
    }
    for group, words, bins in (
        ("library", libraries, _LIBRARY_BINS),
        ("function", functions, _FUNCTION_BINS),
        ("export", exports, _EXPORT_BINS),
        ("rich", pairs, _RICH_BINS),
    ):
        found |= {f"{group}_{i}": float(n) for i, n in enumerate(_hash_counts(words, bins))}
    return found


def _hash_counts(words: Iterable[bytes], bins: int) -> npt.NDArray[np.int64]:
    slots = np.array([crc32(word) % bins for word in words], np.int64)
    return np.bincount(slots, minlength=bins)


# --- bytes and strings --------------------------------------------------------------------------


def _counts(data: bytes) -> npt.NDArray[np.int64]:
    return np.bincount(np.frombuffer(data, np.uint8), minlength=256)


def _entropy(counts: npt.NDArray[Any]) -> float:
    """Return the entropy, in bits per symbol."""
    total = counts.sum()
    if total == 0:
        return 0.0
    p = counts[counts > 0] / total
    return float(-(p * np.log2(p)).sum())


def _content(data: bytes, wanted: frozenset[str]) -> dict[str, float]:
    array = np.frombuffer(data, np.uint8)
    counts = np.bincount(array, minlength=256)
    found = {f"byte_{i}": float(v) for i, v in enumerate(counts / max(1, len(array)))}
    found["E_file"] = _entropy(counts)
    found["fileinfo"] = float("VS_VERSION_INFO".encode("utf-16-le") in data)
    if wanted & _OF_ENTROPY:
        joint = _byte_entropy(array)
        found |= {f"byte_entropy_{i}": float(v) for i, v in enumerate(joint.ravel())}
    return {**found, **_strings(array, data)} if wanted & _OF_STRINGS else found


def _byte_entropy(array: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
    """Return the shares of high half-bytes by the entropy of the surrounding 2,048 bytes: [16,
    16].
    """
    blocks = max(1, -(-len(array) // _BLOCK))
    keys = np.arange(len(array)) // _BLOCK * 16 + (array >> 4)
    of_block = np.bincount(keys, minlength=16 * blocks).reshape(blocks, 16)
    windows = of_block[:-1] + of_block[1:] if blocks > 1 else of_block
    totals = np.maximum(windows.sum(axis=1, keepdims=True), 1)
    p = windows / totals
    bits = -(p * np.log2(np.where(p > 0, p, 1))).sum(axis=1)
    rows = np.minimum((bits * 4).astype(np.int64), 15)
    joint = np.zeros((16, 16))
    np.add.at(joint, rows, windows)
    return np.asarray(joint / max(1.0, float(joint.sum())))


def _strings(array: npt.NDArray[np.uint8], data: bytes) -> dict[str, float]:
    """Measure runs of five and more printable bytes with arrays: regular expressions are too
    slow.
    """
    printable = (array >= 0x20) & (array < 0x7F)
    edges = np.flatnonzero(np.diff(np.concatenate([[0], printable.view(np.int8), [0]])))
    starts, ends = edges[::2], edges[1::2]
    long = ends - starts >= 5
    lengths = (ends - starts)[long]
    inside = np.zeros(len(array) + 1, np.int8)
    inside[starts[long]] = 1  # runs do not touch, so no place is set twice
    inside[ends[long]] = -1
    text = array[np.cumsum(inside[:-1], dtype=np.int8) > 0]
    letters = ((text | 0x20) >= ord("a")) & ((text | 0x20) <= ord("z"))
    lowered = data.lower()
    return {
        "strings": float(len(lengths)),
        "string_length": float(lengths.mean()) if len(lengths) else 0.0,
        "string_letters": float(letters.mean()) if len(text) else 0.0,
        "string_paths": float(lowered.count(b"c:\\")),
        "string_urls": float(lowered.count(b"http://") + lowered.count(b"https://")),
        "string_registry": float(lowered.count(b"hkey_") + lowered.count(b"software\\microsoft")),
        "string_programs": float(data.count(b"MZ")),
        "string_entropy": _entropy(np.bincount(text, minlength=256)),
    }
