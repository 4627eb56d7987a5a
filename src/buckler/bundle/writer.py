"""Writes a bundle: all or nothing, and the same bytes for the same content.

The model card and the bill of materials (CycloneDX 1.6) are written from the manifest alone.
"""

import json
import math
import random
import zipfile
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import replace
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from uuid import NAMESPACE_URL, uuid5

import numpy as np
import numpy.typing as npt
from safetensors.numpy import save

from buckler.bundle.archive import CARD, MANIFEST, SBOM, SIGNATURE, Bundle
from buckler.bundle.manifest import FileEntry, Manifest
from buckler.errors import SettingsError
from buckler.evaluation.source_tables import source_sentences, source_tables
from buckler.evaluation.unseen_sources import SourceRecord
from buckler.files import write_atomically
from buckler.operating_point import OperatingPoint

_EPOCH = (1980, 1, 1, 0, 0, 0)
_TOOLS = ("buckler", "python", "numpy", "pyarrow", "torch", "onnx", "onnxruntime", "lightgbm")

_FIXED = (
    "",
    " ",
    "http://example.com/",
    "HTTPS://WWW.Example.COM:443/a%2Fb/%61?q=%2520#f",
    "https://user:pw@login.example.net:8443//x\\y?u=1&u=2",
    "//xn--mnchen-3ya.example/ä",
    "http://192.0.2.1/verify/account.php?id=0123456789abcdef",
    "hxxps://secure-login.example.org/wp-content/index.html",
    "From: A <a@example.com>\r\nSubject: =?utf-8?q?Hello_=E2=9C=93?=\r\n\r\nhello world\r\n",
    "Content-Type: text/html\r\n\r\n<p>Your <b>account</b> <a href='http://example.org'>x</a>",
    "powershell -enc SQBFAFgA ; cmd /c echo ^h^i",
    "The quick brown fox jumps over the lazy dog",
    "ÀÉÎõü ﬀ Ⅷ \uff21\uff22\uff23 \u202e\u200b",
    "a" * 3000,
    "\x1f\x1f\x1f|\x00\x7f",
)
_RANDOM_TEXTS = 49


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
            name: FileEntry(size_bytes=len(data), sha256=sha256(data).hexdigest())
            for name, data in entries.items()
        },
    )
    raw = manifest.to_json()
    return Bundle(manifest, {MANIFEST: raw, **entries}, sha256(raw).hexdigest())


def set_threshold(bundle: Bundle, point: OperatingPoint) -> Bundle:
    """Return a bundle that decides at another operating point.

    A signature is left out, because it would not hold any more.

    Raises
    ------
    SettingsError
        If the bundle's held-out events are too few for the wish, or a cascade marks events about
        its threshold for a person.
    """
    manifest = bundle.manifest
    if "review" in manifest.settings:
        raise SettingsError(
            f"{manifest.name}: a cascade marks events about its threshold for a person; build it "
            "again for another threshold"
        )
    threshold = manifest.find_threshold(point)
    made_here = (MANIFEST, CARD, SBOM, SIGNATURE)
    kept = {name: data for name, data in bundle.entries.items() if name not in made_here}
    return assemble(replace(manifest, threshold=threshold, operating_point=point), kept)


def pack(entries: dict[str, bytes]) -> bytes:
    """Return the archive: stored, in this order, without times."""
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, data in entries.items():
            archive.writestr(zipfile.ZipInfo(name, _EPOCH), data)
    return buffer.getvalue()


def pack_tensors(tensors: dict[str, npt.NDArray[np.generic]]) -> bytes:
    """Return arrays as a safetensors file."""
    return save({name: np.ascontiguousarray(t) for name, t in tensors.items()})


def model_card(manifest: Manifest) -> str:
    """Return the card as Markdown, from what the manifest says."""
    positive = ", ".join(manifest.positive) or "none"
    lines = [
        f"# {manifest.name}",
        "",
        *((f"**{notice}**", "") if (notice := manifest.provenance.get("notice")) else ()),
        f"{manifest.description}." if manifest.description else "",
        "",
        "| | |",
        "| --- | --- |",
        f"| Task | {manifest.task} |",
        f"| Classes | {', '.join(manifest.classes)} |",
        f"| Positive classes | {positive} |",
        f"| Student | {manifest.family} |",
        *(f"| Auxiliary classifier, on {a.on} | {a.name} |" for a in manifest.auxiliary),
        f"| Normalized text | {manifest.normalizer}, at most {manifest.max_bytes} bytes |",
        f"| Made | {manifest.created} |",
        "",
        *_unseen_sources(manifest),
        "## Thresholds",
        "",
        *_thresholds(manifest),
        "",
        *_calibration(manifest),
        "",
        "## On the test rows",
        "",
        *_metrics(manifest.metrics),
        "",
        "## Where it came from",
        "",
        *(
            f"- {key}: {_short(value)}"
            for key, value in manifest.provenance.items()
            if key != "notice"
        ),
        "",
        "## Limits",
        "",
        "- The figures hold for data like the test data. Where it stems from another source than "
        "the events that you score, measure on your own before you rely on them.",
        "- It judges the text alone and fetches nothing. Whoever writes the text can try to evade "
        "it: use it as one layer.",
        "- A verdict is a probability, not a proof. Review before you act against a person.",
        "",
    ]
    return "\n".join(lines)


def _thresholds(manifest: Manifest) -> list[str]:
    curve = manifest.operating_curve
    if curve is None or not manifest.thresholds:
        return [manifest.operating_sentence]
    rows = [
        manifest.operating_sentence,
        "",
        "| Score from which an event is detected | False positives | Detection |",
        "| --- | --- | --- |",
    ]
    for value in manifest.thresholds.values():
        mark = " (deployed)" if value == manifest.threshold else ""
        fpr, recall = curve.rates_at(value)
        rows.append(f"| {value:.6f}{mark} | {fpr:.4g} | {recall:.4g} |")
    counts = f"{curve.n_negatives:,} negative and {curve.n_positives:,} positive"
    return [*rows, "", f"On {counts} held-out events ({curve.origin})."]


def _unseen_sources(manifest: Manifest) -> list[str]:
    """Return the figures that count: those on sources that training did not see."""
    record = SourceRecord.read(manifest.unseen_sources)
    if record is None:
        return []
    sentences = source_sentences(record)
    lines = ["## On sources that it has not seen", "", " ".join(sentences), ""]
    for table in source_tables(record).values():
        rows = [table.heading, ("---",) * len(table.heading), *table.rows]
        lines += [*("| " + " | ".join(_cell(v) for v in row) + " |" for row in rows), ""]
    return lines


def _cell(text: str) -> str:
    return text.replace("|", "/").replace("\n", " ")


def _calibration(manifest: Manifest) -> list[str]:
    lines = []
    if manifest.calibration_curve:
        method = manifest.calibration.get("curve") or manifest.calibration.get("method")
        lines.append(f"Calibrated by {method} regression on held-out rows.")
    if manifest.conformal:
        rates = ", ".join(f"{rate:g}" for rate in manifest.conformal)
        lines.append(f"Prediction sets for error rates of {rates}.")
    shares = manifest.calibration.get("share_reaching_each_stage")
    if isinstance(shares, list):
        reached = ", ".join(f"{share:.4g}" for share in shares)
        lines.append(f"Share of the validation events that reach each stage: {reached}.")
    return [" ".join(lines)] if lines else []


def _metrics(metrics: Mapping[str, object]) -> list[str]:
    if not metrics:
        return ["Not evaluated on held-out test data yet: run `buckler evaluate`."]
    rows = ["| Measure | Value |", "| --- | --- |"]
    for name, value in metrics.items():
        rows.append(f"| {name} | {_short(value)} |")
    return rows


def _short(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, dict):
        return ", ".join(f"{k} {_short(v)}" for k, v in value.items())
    if isinstance(value, list):
        return ", ".join(_short(v) for v in value)
    return str(value)


def bill_of_materials(manifest: Manifest) -> bytes:
    """Return the document, from what the manifest says; the same manifest gives the same bytes."""
    said = manifest.provenance
    serial = uuid5(NAMESPACE_URL, manifest.to_json().decode())
    components: list[dict[str, object]] = [
        {"type": "library", "bom-ref": name, "name": name, "version": str(said[name])}
        for name in _TOOLS
        if name in said
    ]
    document = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{serial}",
        "version": 1,
        "metadata": {
            "timestamp": manifest.created,
            "component": {
                "type": "machine-learning-model",
                "bom-ref": "model",
                "name": manifest.name,
                "description": manifest.description,
                "modelCard": {
                    "modelParameters": {
                        "approach": {"type": "supervised"},
                        "task": "classification",
                        "architectureFamily": manifest.family,
                        "inputs": [{"format": manifest.normalizer}],
                        "outputs": [{"format": "probability of " + ", ".join(manifest.classes)}],
                    }
                },
                "properties": [
                    {"name": f"buckler:{key}", "value": str(value)}
                    for key, value in said.items()
                    if key not in _TOOLS
                ],
            },
        },
        "components": components,
        "dependencies": [{"ref": "model", "dependsOn": [n for n in _TOOLS if n in said]}],
    }
    digest = said.get("data_digest")
    if isinstance(digest, str):
        data: dict[str, object] = {
            "type": "data",
            "bom-ref": "training-data",
            "name": "training data",
            "hashes": [{"alg": "SHA-256", "content": digest}],
        }
        if len(digest) != 64:  # a stage's short key is a name, not a full digest
            del data["hashes"]
            data["version"] = digest
        components.append(data)
    return json.dumps(document, indent=1).encode() + b"\n"


# --- conformance vectors: fixed inputs, never anyone's events, with the exact outputs -------------


def vector_texts() -> list[bytes]:
    """Return the inputs, the same on every machine and in every version of this format."""
    rng = random.Random(20260101)  # noqa: S311 - not for secrets
    texts = [text.encode() for text in _FIXED]
    for i in range(_RANDOM_TEXTS):
        pool = range(256) if i % 3 == 0 else range(0x21, 0x7F)
        texts.append(bytes(rng.choice(pool) for _ in range(rng.randrange(1, 200))))
    return texts


def vector_rows(n_features: int, n_categories: int) -> list[bytes]:
    """Return rows of features as float32 numbers, the last are categories; some are missing."""
    rng = random.Random(20260102)  # noqa: S311 - not for secrets
    rows = []
    for i in range(len(_FIXED) + _RANDOM_TEXTS):
        scale = 10.0 ** (i % 7 - 2)
        row = [rng.gauss(0, scale) for _ in range(n_features - n_categories)]
        row += [float(rng.randrange(1021)) for _ in range(n_categories)]
        gaps = [math.nan if rng.random() < i / 200 else value for value in row]
        rows.append(np.array(gaps, "<f4").tobytes())
    return rows


def tolerance_of(data: bytes) -> float:
    """Return by how much a probability may differ elsewhere, of a file that was made here."""
    return float(json.loads(data).get("tolerance", 0.0))


def vectors_json(
    inputs: list[bytes], outputs: npt.NDArray[np.float32], tolerance: float = 0.0
) -> bytes:
    """Return the file: inputs in base64, float32 outputs as hexadecimal floats.

    Parameters
    ----------
    tolerance
        By how much a probability may differ elsewhere: 0 for our own kernels.
    """
    vectors = [
        {"input": b64encode(one).decode(), "outputs": [float(p).hex() for p in row]}
        for one, row in zip(inputs, outputs.reshape(len(inputs), -1), strict=True)
    ]
    return json.dumps({"tolerance": tolerance, "vectors": vectors}, indent=0).encode() + b"\n"
