"""Fuzzes bundles field by field: `python -m tests.bundle.fuzz_structure --minutes 10`.

Where `fuzz_bundle` edits bytes, this changes what they mean: values and keys of the manifest and
the vectors; names, types, shapes and places of tensors; dimensions, values, types and wiring of an
ONNX graph. Digests are mended, so that all of it reaches the code behind them. A bundle must load
and score, or be refused, in bounded time and memory.
"""

import argparse
import json
import resource
import sys
import time
from contextlib import suppress
from hashlib import sha256
from math import prod
from pathlib import Path

import numpy as np

from buckler.bundle.archive import MANIFEST, ONNX, VECTORS, WEIGHTS
from buckler.bundle.writer import pack
from buckler.isolation import EventFault, attempt
from tests.bundle.fuzz_bundle import MEMORY_BYTES, load_and_score, seeds

LIMIT_S = 10.0
_NUMBERS = [0, 1, -1, 2, 7, 255, 256, 65_535, 1 << 24, (1 << 31) - 1, 1 << 31, (1 << 63) - 1]
_NUMBERS += [1 << 63, -(1 << 63), 1 << 64, 10**30]
_FLOATS = [0.0, -0.0, 0.5, 1.0, 1.5, -1.0, 1e-300, 1e308, float("inf"), float("nan")]
_TEXTS = ["", "a", "ngram", "trees", "bytecnn", "cascade", "none", "url-v1", "email-v2"]
_TEXTS += [
    "html-v1",
    "pe-v1",
    "../x",
    "/etc/passwd",
    "\0",
    "é😀",
    "a" * 5000,
    "1e999",
    "F32",
    "I64",
]
_TENSOR_TYPES = ["F16", "F32", "F64", "BF16", "I8", "U8", "I16", "I32", "I64", "U64", "BOOL", "X"]

Json = object


def main(arguments: list[str] | None = None) -> int:
    """Fuzz for some minutes of CPU time; return 1 if something went wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.bundle.fuzz_structure")
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("fuzz-structure"))
    options = parser.parse_args(arguments)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    seeds()
    rng = np.random.default_rng(options.seed)
    end, slowest, tried, escapes = time.process_time() + 60 * options.minutes, 0.0, 0, 0
    while time.process_time() < end:
        data = changed_bundle(rng)
        options.out.mkdir(parents=True, exist_ok=True)
        last = options.out / f"{options.seed}-last.buckler"  # what ended this process lies there
        last.write_bytes(data)
        start = time.process_time()
        result = attempt(load_and_score, data)
        taken = time.process_time() - start
        tried, slowest = tried + 1, max(slowest, taken)
        if isinstance(result, EventFault) or taken > LIMIT_S:
            escapes += 1
            kept = options.out / f"{options.seed}-{escapes}.buckler"
            kept.write_bytes(data)
            why = repr(result.error) if isinstance(result, EventFault) else f"{taken:.1f} s"
            sys.stdout.write(f"{kept}: {why}\n")
    sys.stdout.write(f"{tried:,} bundles, {escapes} escapes, slowest {slowest:.2f} s\n")
    return 1 if escapes else 0


def changed_bundle(rng: np.random.Generator) -> bytes:
    """Return a sound bundle with one to four changes in one or two of its parts."""
    entries = dict(seeds()[rng.integers(len(seeds()))])
    parts = [name for name in (MANIFEST, WEIGHTS, ONNX, VECTORS) if name in entries]
    for name in rng.choice(parts, size=rng.integers(1, 3)):
        change = {WEIGHTS: _change_tensors, ONNX: _change_graph}.get(name, _change_json)
        entries[name] = change(entries[name], rng)
    return pack(mended(entries))


def mended(entries: dict[str, bytes]) -> dict[str, bytes]:
    """Return entries with the digests of what they hold, where the manifest still lists them."""
    manifest = json.loads(entries[MANIFEST])
    files = manifest.get("files") if isinstance(manifest, dict) else None
    if not isinstance(files, dict):
        return entries
    for name, data in entries.items():
        if isinstance(files.get(name), dict):
            files[name] |= {"size_bytes": len(data), "sha256": sha256(data).hexdigest()}
    return {**entries, MANIFEST: json.dumps(manifest).encode("utf-8", "surrogatepass")}


def _change_json(data: bytes, rng: np.random.Generator) -> bytes:
    document = json.loads(data)
    for _ in range(rng.integers(1, 5)):
        _change_one(document, rng)
    return json.dumps(document).encode()


def _change_one(document: Json, rng: np.random.Generator) -> None:
    """Change one value, wherever it stands."""
    places: list[tuple[dict[str, Json] | list[Json], str | int]] = []
    todo = [document]
    while todo:
        holder = todo.pop()
        keys = holder.items() if isinstance(holder, dict) else enumerate(holder)
        for key, value in keys:
            places.append((holder, key))
            if isinstance(value, dict | list):
                todo.append(value)
    if places:
        holder, key = places[rng.integers(len(places))]
        _change_at(holder, key, rng)


def _change_at(holder: "dict | list", key: "str | int", rng: np.random.Generator) -> None:
    value, kind = holder[key], rng.integers(12)
    if kind == 0:
        del holder[key]
    elif kind == 1:
        holder[key] = _any_value(rng)
    elif kind == 2 and isinstance(holder, dict):
        holder[str(rng.choice(_TEXTS))] = value
    elif kind == 2:
        holder.append(value)
    elif isinstance(value, list) and value:
        is_flat = not any(isinstance(each, dict | list) for each in value)
        times = int(rng.choice([0, 2, 1000 if is_flat else 3]))
        holder[key] = value[: rng.integers(len(value) + 1)] if kind < 8 else value[:50] * times
    elif isinstance(value, bool):
        holder[key] = not value
    elif isinstance(value, int):
        holder[key] = value + int(rng.integers(-2, 3)) if kind < 6 else _number(rng)
    elif isinstance(value, float):
        holder[key] = float(rng.choice(_FLOATS))
    elif isinstance(value, str):
        holder[key] = str(rng.choice(_TEXTS)) if kind < 8 else value + value[:1]
    else:
        holder[key] = _any_value(rng)


def _number(rng: np.random.Generator) -> int:
    return _NUMBERS[rng.integers(len(_NUMBERS))]


def _any_value(rng: np.random.Generator) -> Json:
    nested: Json = 1
    for _ in range(rng.integers(200)):
        nested = [nested]
    values = [None, True, _number(rng), float(rng.choice(_FLOATS)), str(rng.choice(_TEXTS)), [], {}]
    return [*values, nested][rng.integers(8)]


def _change_tensors(data: bytes, rng: np.random.Generator) -> bytes:
    size = int.from_bytes(data[:8], "little")
    header, content = json.loads(data[8 : 8 + size]), bytearray(data[8 + size :])
    for _ in range(rng.integers(1, 4)):
        name = str(rng.choice(sorted(header)))
        tensor = header[name]
        kind = rng.integers(7)
        shape = tensor.get("shape") if isinstance(tensor, dict) else None
        if not isinstance(shape, list) or kind == 0:
            _change_one(header, rng)
        elif kind == 1:
            tensor["dtype"] = str(rng.choice(_TENSOR_TYPES))
        elif kind == 2:
            tensor["shape"] = [_number(rng) for _ in range(rng.integers(5))]
        elif kind == 3:
            tensor["shape"] = [*shape[::-1], *[1] * int(rng.integers(3))]
        elif kind == 4:  # the same number of values in another shape
            tensor["shape"] = [prod(each for each in shape if isinstance(each, int)), 1]
        elif kind == 5:
            tensor["data_offsets"] = [_number(rng), _number(rng)]
        elif content:  # values: infinities, nothing, indices out of any range
            at = int(rng.integers(len(content)))
            value = bytes([int(rng.choice([0x00, 0xFF, 0x7F, 0x80]))])
            content[at : at + 64] = value * min(64, len(content) - at)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + bytes(content)


def _change_graph(data: bytes, rng: np.random.Generator) -> bytes:
    import onnx

    model = onnx.load_from_string(data)
    for _ in range(rng.integers(1, 5)):
        _change_message(_any_message(model, rng), rng)
    return bytes(model.SerializeToString())


def _any_message(model: "object", rng: np.random.Generator) -> "object":
    """Return a message of a tree, such as a node, a tensor or a dimension."""
    found, todo = [], [model]
    while todo:
        message = todo.pop()
        found.append(message)
        for field, value in message.ListFields():
            if field.message_type is not None:
                todo += list(value) if hasattr(value, "add") else [value]
    kinds = sorted({type(each).__name__ for each in found})
    kind = str(rng.choice(kinds))  # first the kind, or dimensions and tensors outnumber the rest
    alike = [each for each in found if type(each).__name__ == kind]
    return alike[rng.integers(len(alike))]


def _change_message(message: "object", rng: np.random.Generator) -> None:
    fields = [field for field, _ in message.ListFields()]
    if not fields:
        return
    field = fields[rng.integers(len(fields))]
    value, kind = getattr(message, field.name), rng.integers(5)
    if kind == 0:
        message.ClearField(field.name)
    elif hasattr(value, "add"):  # repeated messages
        if kind == 1:
            value.add().CopyFrom(value[rng.integers(len(value))])
        elif kind == 2:
            del value[int(rng.integers(len(value)))]
    elif hasattr(value, "append"):
        at = int(rng.integers(len(value)))
        with suppress(ValueError):  # no value of an enumeration
            value[at] = _like(value[at], rng)
        if kind == 1:
            value.append(value[at])
    elif field.message_type is None:
        with suppress(ValueError):
            setattr(message, field.name, _like(value, rng))


def _like(value: object, rng: np.random.Generator) -> object:
    """Return another value of the same type that the field can hold."""
    if isinstance(value, bytes):
        return value[: rng.integers(len(value) + 1)] + bytes(rng.integers(0, 256, 8, np.uint8))
    if isinstance(value, str):
        return str(rng.choice([*_TEXTS[:2], "logits", "Cast", "Loop", "Expand", "ConstantOfShape"]))
    if isinstance(value, float):
        return float(rng.choice(_FLOATS))
    return int(rng.choice([0, 1, -1, 2, 7, 65_535, 1 << 24, (1 << 31) - 1]))


if __name__ == "__main__":
    raise SystemExit(main())
