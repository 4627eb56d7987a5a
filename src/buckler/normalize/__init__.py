"""Normalized texts: what a student sees of an event, the same in training and at run time.

A normalizer has a version in its id. A bundle names the one that it was trained with; a change of
any rule is a new id, never a silent difference. The rules stand in docs/normalizers.md.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial

from buckler import _kernel
from buckler.errors import SettingsError
from buckler.normalize import email_v2, html_page, pe
from buckler.normalize.email import email_fields
from buckler.normalize.features import FeatureSchema
from buckler.normalize.normalized_texts import NormalizedTexts, arrow_columns
from buckler.normalize.pe import PE

__all__ = [
    "FEATURES",
    "NORMALIZERS",
    "PE",
    "FeatureSchema",
    "NormalizedTexts",
    "Normalizer",
    "arrow_columns",
    "get_normalizer",
]

FEATURES = "features-v1"


@dataclass(frozen=True)
class Normalizer:
    """One normalized text.

    Attributes
    ----------
    id
        Name and version, such as ``url-v1``.
    kind
        The kernel's number for the byte-level rules.
    prepare
        What Python does before the kernel, for formats that are parsed; None for most.
    features
        Where the normalized text is a row of features: which.
    """

    id: str
    kind: int
    prepare: Callable[[str | bytes], str | bytes] | None = None
    features: FeatureSchema | None = None

    def normalize(self, text: str | bytes, max_bytes: int) -> bytes:
        """Return the normalized text of one text, at most `max_bytes` long."""
        if self.prepare is not None:
            text = self.prepare(text)
        return _kernel.normalize(self.kind, text, max_bytes)

    def normalize_column(self, column: object, max_bytes: int) -> NormalizedTexts:
        """Return the normalized texts of an Arrow column (or a list) of texts."""
        if self.prepare is not None:
            return NormalizedTexts.from_bytes(
                self.normalize(text, max_bytes) if text is not None else b""
                for text in _as_objects(column)
            )
        if isinstance(column, list):
            return NormalizedTexts.from_bytes(self.normalize(text, max_bytes) for text in column)
        return NormalizedTexts.concatenate(
            [
                NormalizedTexts.from_buffers(
                    *_kernel.normalize_column(self.kind, schema, array, max_bytes)[:2]
                )
                for schema, array in arrow_columns(column)
            ]
        )


def _as_objects(column: object) -> Iterable[str | bytes | None]:
    if isinstance(column, list):
        return column
    if hasattr(column, "to_pylist"):
        return column.to_pylist()  # type: ignore[no-any-return]
    raise TypeError(f"cannot read texts from a {type(column).__name__}")


NORMALIZERS = {
    n.id: n
    for n in (
        Normalizer("none", 0),
        Normalizer("url-v1", 1),
        Normalizer("url-v2", 4),
        Normalizer("text-v1", 2),
        Normalizer("command-v1", 3),
        Normalizer("email-v1", 2, email_fields),
        Normalizer("email-v2", 2, email_v2.email_fields),
        Normalizer("email-auth-v1", 2, email_v2.email_auth_fields),
        Normalizer("html-v1", 2, html_page.html_fields),
    )
}


def get_normalizer(name: str, features: FeatureSchema | None = None) -> Normalizer:
    """Return the normalizer with this id.

    Raises
    ------
    SettingsError
        If this version of Buckler does not know it, or it does not fit the features.
    """
    if name in (FEATURES, PE):
        if not features:
            raise SettingsError(f"normalizer {name!r} needs the names of the features")
        if len(set(features.names)) < len(features):
            raise SettingsError("a feature is named twice")
        if name == FEATURES:
            return Normalizer(FEATURES, 0, features.normalize, features)
        if (wrong := pe.check_names(features)) is not None:
            raise SettingsError(wrong)
        return Normalizer(PE, 0, partial(pe.row_of, features=features), features)
    if features:
        raise SettingsError(f"normalizer {name!r} knows no features: use {FEATURES!r} or {PE!r}")
    try:
        return NORMALIZERS[name]
    except KeyError:
        known = ", ".join(sorted([*NORMALIZERS, FEATURES, PE]))
        raise SettingsError(f"unknown normalizer {name!r}: this version knows {known}") from None
