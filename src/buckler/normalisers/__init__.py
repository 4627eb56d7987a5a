"""Canonical forms: what a student sees of an event, the same in training and at run time.

A normaliser has a version in its id. A bundle names the one that it was trained with; a change of
any rule is a new id, never a silent difference. The rules stand in docs/normalisers.md.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial

from buckler import _kernel
from buckler.errors import SettingsError
from buckler.normalisers import email_v2, html_page, pe
from buckler.normalisers.canonical import CanonicalTexts, arrow_columns
from buckler.normalisers.email import email_fields
from buckler.normalisers.features import FeatureSchema
from buckler.normalisers.pe import PE

__all__ = [
    "FEATURES",
    "NORMALISERS",
    "PE",
    "CanonicalTexts",
    "FeatureSchema",
    "Normaliser",
    "arrow_columns",
    "get_normaliser",
]

FEATURES = "features-v1"


@dataclass(frozen=True)
class Normaliser:
    """One canonical form.

    Attributes
    ----------
    id
        Name and version, such as ``url-v1``.
    kind
        The kernel's number for the byte-level rules.
    prepare
        What Python does before the kernel, for formats that are parsed; None for most.
    features
        Where the canonical form is a row of features: which.
    """

    id: str
    kind: int
    prepare: Callable[[str | bytes], str | bytes] | None = None
    features: FeatureSchema | None = None

    def canonical(self, text: str | bytes, max_bytes: int) -> bytes:
        """Return the canonical form of one text, at most `max_bytes` long."""
        if self.prepare is not None:
            text = self.prepare(text)
        return _kernel.normalise(self.kind, text, max_bytes)

    def canonical_column(self, column: object, max_bytes: int) -> CanonicalTexts:
        """Return the canonical forms of an Arrow column (or a list) of texts."""
        if self.prepare is not None:
            return CanonicalTexts.from_bytes(
                self.canonical(text, max_bytes) if text is not None else b""
                for text in _as_objects(column)
            )
        if isinstance(column, list):
            return CanonicalTexts.from_bytes(self.canonical(text, max_bytes) for text in column)
        return CanonicalTexts.concatenate(
            [
                CanonicalTexts.from_buffers(
                    *_kernel.normalise_column(self.kind, schema, array, max_bytes)[:2]
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


NORMALISERS = {
    n.id: n
    for n in (
        Normaliser("none", 0),
        Normaliser("url-v1", 1),
        Normaliser("url-v2", 4),
        Normaliser("text-v1", 2),
        Normaliser("command-v1", 3),
        Normaliser("email-v1", 2, email_fields),
        Normaliser("email-v2", 2, email_v2.email_fields),
        Normaliser("email-auth-v1", 2, email_v2.email_auth_fields),
        Normaliser("html-v1", 2, html_page.html_fields),
    )
}


def get_normaliser(name: str, features: FeatureSchema | None = None) -> Normaliser:
    """Return the normaliser with this id.

    Raises
    ------
    SettingsError
        If this version of Buckler does not know it, or it does not fit the features.
    """
    if name in (FEATURES, PE):
        if not features:
            raise SettingsError(f"normaliser {name!r} needs the names of the features")
        if len(set(features.names)) < len(features):
            raise SettingsError("a feature is named twice")
        if name == FEATURES:
            return Normaliser(FEATURES, 0, features.canonical, features)
        if (wrong := pe.check_names(features)) is not None:
            raise SettingsError(wrong)
        return Normaliser(PE, 0, partial(pe.row_of, features=features), features)
    if features:
        raise SettingsError(f"normaliser {name!r} knows no features: use {FEATURES!r} or {PE!r}")
    try:
        return NORMALISERS[name]
    except KeyError:
        known = ", ".join(sorted([*NORMALISERS, FEATURES, PE]))
        raise SettingsError(f"unknown normaliser {name!r}: this version knows {known}") from None
