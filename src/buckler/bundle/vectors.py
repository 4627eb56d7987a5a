"""Conformance vectors: fixed inputs with the exact outputs of a bundle.

The inputs are made up here and never taken from anyone's events, so a bundle gives none away.
"""

import json
import math
import random
from base64 import b64encode

import numpy as np
import numpy.typing as npt

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
