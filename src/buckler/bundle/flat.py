"""An `ngram` bundle as one flat file, for programs that read neither zip nor JSON.

The layout stands in docs/embedding.md; `bk_model_open` in the kernel reads it.
"""

import json
import struct
from base64 import b64decode

import numpy as np

from buckler.bundle.archive import VECTORS, WEIGHTS, Bundle, full_table, parse_tensors
from buckler.errors import SettingsError
from buckler.normalize import get_normalizer
from buckler.normalize.segments import SegmentRule
from buckler.operating_point import DEFAULT_THRESHOLD

_HEADER = struct.Struct("<8s8I2f2I2Q2If3I")
_SECTION = 16


def flat_model(bundle: Bundle) -> bytes:
    """Return the file.

    Raises
    ------
    SettingsError
        If the bundle is not `ngram`, or its texts are parsed in Python first.
    """
    m = bundle.manifest
    normalizer = get_normalizer(m.normalizer) if m.model == "ngram" else None
    if normalizer is None or normalizer.prepare is not None:
        raise SettingsError(
            f"{m.name}: only `ngram` bundles over URLs and texts run without Python, "
            f"this is {m.family} over {m.normalizer}"
        )
    tensors = parse_tensors(bundle.entries.get(WEIGHTS))
    head = tensors.get("head")
    threshold = float("nan")  # without a positive class there is no detection
    if m.positive:
        threshold = DEFAULT_THRESHOLD if m.threshold is None else m.threshold
    curve = [np.array(row, "<f8").tobytes() for row in m.calibration_curve]
    sections = [
        tensors["bias"].astype("<f4").tobytes(),
        b"" if head is None else head.astype("<f4").tobytes(),
        *(curve or [b"", b""]),
    ]
    body = b"".join(data + bytes(-len(data) % _SECTION) for data in sections)
    table = full_table(tensors, int(str(m.settings["n_outputs"])))
    body += table.tobytes()
    s = m.settings
    segmenter, combination, _, temperature = SegmentRule.from_settings(s, m.positive_bits).numbers
    return (
        _HEADER.pack(
            b"BKNGRAM2",
            s["kernel_version"],
            s["min_order"],
            s["max_order"],
            s["table_bits"],
            s["width"],
            s["n_outputs"],
            m.max_bytes,
            normalizer.kind,
            s["scale"],
            threshold,
            head is not None,
            len(m.calibration_curve[0]) if m.calibration_curve else 0,
            m.positive_bits,
            _HEADER.size + len(body),
            segmenter,
            combination,
            temperature,
            *(0, 0, 0),
        )
        + body
    )


def flat_vectors(bundle: Bundle) -> str:
    """Return the conformance vectors as lines: text and each output's bits, in hexadecimal."""
    lines = []
    for vector in json.loads(bundle.entries[VECTORS])["vectors"]:
        outputs = np.array([float.fromhex(p) for p in vector["outputs"]], "<f4").view("<u4")
        text = b64decode(vector["input"]).hex() or "-"
        lines.append(" ".join([text, *(f"{bits:08x}" for bits in outputs)]))
    return "\n".join(lines) + "\n"
