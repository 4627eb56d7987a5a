"""Fuzzes the loading of bundles: `python -m tests.bundle.fuzz_bundle [libFuzzer options]` (extra
`fuzz`).

An input either is a whole file, or edits one entry of a sound bundle, whose digests are then
mended, so that the parsers behind the digests are reached. Inputs that reached something new, or
went wrong, stay in tests/bundle/corpus and are run with the tests.
"""

import contextlib
import json
import resource
import sys
import tempfile
import zipfile
from functools import cache
from hashlib import sha256
from pathlib import Path

import numpy as np

if __name__ == "__main__":
    import atheris

    watched = atheris.instrument_imports(include=["buckler.bundle", "buckler.runtime"])
else:
    watched = contextlib.nullcontext()
with watched:
    from buckler.bundle.archive import MANIFEST, SIGNATURE, parse_bundle
    from buckler.bundle.writer import pack
    from buckler.errors import BucklerError
    from buckler.runtime import Scorer
from buckler.training.cascade import CascadeOptions, build_cascade
from buckler.training.cross_validation import StudentSpec
from buckler.training.fit import fit_student
from buckler.training.packaging import write_fitted
from tests.support.made_up import made_up_events, made_up_rows

CORPUS = Path(__file__).parent / "corpus"
MEMORY_BYTES = 6 << 30


@cache
def seeds() -> list[dict[str, bytes]]:
    """Return one small sound bundle of each family, as entries."""
    folder = Path(tempfile.mkdtemp(prefix="buckler-fuzz-"))
    rng = np.random.default_rng(0)
    events = made_up_events(400, rng)
    made = {
        "ngram": ("ngram", {"table_bits": 6, "epochs": 2}),
        "hidden": ("ngram", {"table_bits": 6, "epochs": 2, "hidden": 16}),
    }
    try:
        import torch  # noqa: F401

        small = {"epochs": 1, "max_length": 32, "filters": 4, "hidden": 4, "embedding": 4}
        made["cnn"] = ("bytecnn", small)
    except ImportError:
        pass
    for name, (family, settings) in made.items():
        fitted = fit_student(events, StudentSpec(family, settings, folds=2))
        write_fitted(folder / f"{name}.buckler", fitted)
    stages = [folder / "ngram.buckler", folder / "hidden.buckler"]
    build_cascade(stages, events, folder / "cascade.buckler", CascadeOptions(budgets=[0.2]))
    rows, _ = made_up_rows(300, rng)
    fitted = fit_student(rows, StudentSpec("trees", {"epochs": 1, "leaves": 4}, folds=2))
    write_fitted(folder / "trees.buckler", fitted)
    found = []
    for path in sorted(folder.glob("*.buckler")):
        with zipfile.ZipFile(path) as archive:
            found.append({name: archive.read(name) for name in archive.namelist()})
    return found


def one_input(data: bytes) -> None:
    """Load and use what the input describes; only our own errors may come out."""
    load_and_score(as_bundle(data))


def load_and_score(bundle: bytes) -> None:
    """Load and use a bundle, or let it be refused."""
    try:
        scorer = Scorer(parse_bundle(bundle))
    except BucklerError:
        return
    texts = [b"http://a.example/x", b"", b"\xff" * 50]
    if scorer.features is not None:
        texts = [json.dumps({scorer.features.names[0]: 1}).encode()]
    try:
        scorer.score(texts)
        scorer.explain(texts[0])
    except BucklerError:
        return


def as_bundle(data: bytes) -> bytes:
    """Read an input: first byte which seed (255: the rest is the file), then entry and edits."""
    if not data or data[0] == 255:
        return data[1:]
    entries = dict(seeds()[data[0] % len(seeds())])
    names = [n for n in sorted(entries) if n != SIGNATURE]
    name = names[data[1] % len(names)] if len(data) > 1 else MANIFEST
    content, edits = bytearray(entries[name]), data[2:]
    for at in range(0, len(edits) - 4, 5):
        kind, place, value = (
            edits[at],
            int.from_bytes(edits[at + 1 : at + 4], "little"),
            edits[at + 4],
        )
        place %= max(1, len(content))
        if kind % 4 == 0:
            content[place : place + 1] = bytes([value])
        elif kind % 4 == 1:
            content[place:place] = bytes([value]) * (1 + kind // 4)
        elif kind % 4 == 2:
            del content[place : place + value + 1]
        else:
            content[place : place + 8] = content[-8 - value :][:8]
    entries[name] = bytes(content)
    if name != MANIFEST:
        manifest = json.loads(entries[MANIFEST])
        manifest["files"][name] = {
            "size_bytes": len(content),
            "sha256": sha256(bytes(content)).hexdigest(),
        }
        entries[MANIFEST] = json.dumps(manifest).encode()
    return pack(entries)


def main() -> None:
    import atheris

    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    seeds()
    CORPUS.mkdir(exist_ok=True)
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
