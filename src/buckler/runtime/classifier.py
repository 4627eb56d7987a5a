"""A classifier at work: normalizer, model and calibration curve of one bundle, texts to outputs.

A scorer has one for its verdicts and one for each auxiliary question.
"""

from base64 import b64decode
from collections.abc import Mapping, Sequence
from contextlib import nullcontext

import numpy as np
import numpy.typing as npt

from buckler import _kernel
from buckler.bundle.archive import VECTORS, Bundle
from buckler.bundle.manifest import Manifest
from buckler.bundle.strict_json import parse_strict_json
from buckler.errors import BundleError, InputError
from buckler.normalize import FeatureTable, NormalizedTexts, arrow_columns
from buckler.normalize.feature_table import is_feature_column
from buckler.runtime.explanation import Contribution, explain_features, explain_weights
from buckler.runtime.model import build_model, calibration_curve, normalizer_of, recalibrate
from buckler.runtime.onnx_limits import loading
from buckler.runtime.verdicts import Floats

_ROWS_A_TASK = 1 << 15
_MAX_TOLERANCE = 0.05
_MAX_VECTORS = 1024
_MAX_VECTOR_BYTES = 1 << 25


class Classifier:
    """Normalizer, model and calibration curve of a bundle.

    Attributes
    ----------
    manifest
        Description of the bundle.
    classes
        Class names, in the order of the outputs.
    normalizer
        Rules that turn an event into normalized text.
    model
        The loaded student.
    curve
        Calibration curve, as two arrays; empty where calibration is in the weights.

    Raises
    ------
    BundleError
        If settings or weights do not fit the task.
    """

    def __init__(self, manifest: Manifest, weights: Mapping[str, bytes]) -> None:
        self.manifest = manifest
        self.classes = tuple(manifest.classes)
        self.normalizer = normalizer_of(manifest)
        self.curve = calibration_curve(manifest)
        self.model = build_model(manifest, weights)

    @staticmethod
    def from_bundle(bundle: Bundle) -> "Classifier":
        """Return the classifier of a bundle, its conformance vectors verified to the bit.

        Raises
        ------
        BundleError
            If it does not fit together, or scores differently here than where it was made.
        """
        classifier = Classifier(bundle.manifest, bundle.weights)
        classifier._verify(bundle.entries.get(VECTORS, b""))
        return classifier

    @property
    def parses_texts(self) -> bool:
        """True where Python parses the texts first, as mail: any bytes will do, of any length."""
        return self.normalizer.prepare is not None

    def outputs(self, texts: object, threads: int = 1) -> Floats:
        """Return float32 [n] for two classes (probability of the second), else [n, classes].

        Parameters
        ----------
        texts
            A list of str, bytes or None, an Arrow column, or rows of features: a `FeatureTable`, or
            an Arrow column of fixed-size lists. The output of a null is NaN.
        threads
            Number of threads for an Arrow column.
        """
        return recalibrate(self._model_outputs(texts, threads), self.curve)

    def outputs_of_normalized(self, texts: NormalizedTexts) -> Floats:
        """Return the outputs of texts that are normalized already."""
        return recalibrate(self.model.score_normalized(texts), self.curve)

    def outputs_of_vectors(self, inputs: list[bytes]) -> Floats:
        """Return the outputs of conformance inputs: texts, or float32 numbers of rows.

        Raises
        ------
        InputError
            If a row has another number of features.
        """
        if self.normalizer.features is None:
            return self.outputs(inputs)
        rows = NormalizedTexts.from_bytes(inputs)
        return self.outputs(FeatureTable.from_texts(self.normalizer.features, rows))

    def normalize(self, texts: object, rows: npt.NDArray[np.intp]) -> NormalizedTexts:
        """Return the normalized texts of some rows, in rising order; none of them is null."""
        if (table := self._feature_table(texts)) is not None:
            return table.take(rows).texts
        if isinstance(texts, list) or self.parses_texts:
            values = _values(texts)
            return NormalizedTexts.from_bytes(self.normalize_one(values[i]) for i in rows)
        parts, begin = [], 0
        for schema, array in arrow_columns(texts):
            end = begin + _kernel.column_length(array)
            inside = rows[(rows >= begin) & (rows < end)] - begin
            if len(inside):
                offsets, data, _ = _kernel.normalize_column(
                    self.normalizer.kind, schema, array, self.manifest.max_bytes, inside
                )
                parts.append(NormalizedTexts.from_buffers(offsets, data))
            begin = end
        return NormalizedTexts.concatenate(parts)

    def normalize_one(self, text: str | bytes) -> bytes:
        """Return the normalized text of one event."""
        if self.normalizer.features is not None:
            return self.normalizer.features.normalize(text)
        return self.normalizer.normalize(text, self.manifest.max_bytes)

    def explain(self, text: str | bytes, index: int) -> list[Contribution]:
        """Return the pieces that move the logit of a class, strongest first."""
        normalized = self.normalize_one(text)
        weights = self.model.byte_weights(normalized, index)
        if len(self.classes) == 2 and index == 0:  # the one output is that of the second class
            weights = -weights
        if self.normalizer.features is not None:
            return explain_features(weights, normalized, self.normalizer.features)
        return explain_weights(weights, normalized, text, self.normalizer.id)

    def _feature_table(self, texts: object) -> FeatureTable | None:
        """Return the rows of features, where they are no JSON objects."""
        if self.normalizer.features is not None and is_feature_column(texts):
            return FeatureTable.from_arrow(self.normalizer.features, texts)
        return texts if isinstance(texts, FeatureTable) else None

    def _model_outputs(self, texts: object, threads: int) -> Floats:
        if (table := self._feature_table(texts)) is not None:
            scores = self.model.score_normalized(table.texts)
            if getattr(texts, "null_count", 0):
                scores[np.asarray(texts.is_null())] = np.nan  # type: ignore[attr-defined]
            return scores
        if self.normalizer.prepare is not None:
            prepare = self.normalizer.prepare
            ready = [None if text is None else prepare(text) for text in _values(texts)]
            return self.model.score_list(ready)
        if isinstance(texts, list):
            return self.model.score_list(texts)
        parts = []
        for schema, array in arrow_columns(texts):
            length = _kernel.column_length(array)
            step = _ROWS_A_TASK if threads > 1 else max(1, length)
            parts += [
                (schema, array, begin, min(begin + step, length))
                for begin in range(0, length, step)
            ]
        if threads == 1:
            outputs = [self.model.score_column(*part) for part in parts]
        else:
            from concurrent.futures import ThreadPoolExecutor

            with ThreadPoolExecutor(threads) as pool:
                outputs = list(pool.map(lambda part: self.model.score_column(*part), parts))
        if len(outputs) == 1:
            return outputs[0]
        return np.concatenate(outputs) if outputs else self.model.score_list([])

    def _verify(self, vectors_json: bytes) -> None:
        """Score the bundle's own vectors: every bit must be as it was when the bundle was made.

        A network may differ a little, by the tolerance that the vectors state.
        """
        try:
            if len(vectors_json) > _MAX_VECTOR_BYTES:
                raise ValueError
            document = parse_strict_json(vectors_json)
            vectors = document["vectors"]
            if not 0 < len(vectors) <= _MAX_VECTORS:
                raise ValueError
            tolerance = min(float(document.get("tolerance", 0.0)), _MAX_TOLERANCE)
            raw = [b64decode(v["input"], validate=True) for v in vectors]
            with np.errstate(over="ignore"):
                expected = np.array(
                    [[float.fromhex(p) for p in v["outputs"]] for v in vectors], np.float32
                )
        except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError,
                ValueError) as error:  # fmt: skip
            raise BundleError("its conformance vectors are missing or not sound") from error
        try:
            with nullcontext() if self.model.is_exact else loading():
                got = self.outputs_of_vectors(raw).reshape(len(raw), -1)
        except InputError as error:
            raise BundleError(f"its conformance vectors do not fit: {error}") from error
        same = got.shape == expected.shape and bool(
            np.array_equal(got, expected)
            or (not self.model.is_exact and (np.abs(got - expected) <= tolerance).all())
        )
        if not same:
            raise BundleError(
                "it scores its conformance vectors differently here than where it was made; "
                "do not use it with this build"
            )


def _values(texts: object) -> Sequence[str | bytes | None]:
    return texts if isinstance(texts, list) else texts.to_pylist()  # type: ignore[attr-defined]
