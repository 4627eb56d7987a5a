"""Normalized texts: the form of an event that a student reads, in training and at run time.

A normalizer turns a raw event into fields of folded text, or into a row of features. The kernel
implements the byte-level rules (`url-v1`, `url-v3`, `url-site-v1`, `text-v1`, `command-v2`); for
parsed formats a Python function extracts the fields first (`email_v1`, `email_v2`, `html_v1`,
`pe_v1`). A normalizer has a version in its id, and a bundle names the one that it was trained with:
a change of any rule is a new id. Formats are imported on first use, so that a URL bundle loads no
parser.

`charsets`, `mail_headers`, `mime`, `html_scan` and `html_references` read hostile mail and pages in
bounded time; `disguise` and `sites` undo look-alikes and compare addresses; `padding` feeds neural
students. `outlook_message`, on `compound_file` and `rich_text`, turns Outlook messages into mail.
The rules are in docs/normalize.md.

Examples
--------
>>> get_normalizer("url-v1").normalize("HTTP://Example.COM/a%20b", 100).split(bytes([31]))[0]
b'example.com'
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from typing import TypeAlias

from buckler import _kernel
from buckler.errors import SettingsError
from buckler.normalize.feature_schema import FeatureSchema
from buckler.normalize.feature_table import FeatureTable
from buckler.normalize.normalized_texts import NormalizedTexts, arrow_columns

__all__ = [
    "FEATURES",
    "NORMALIZERS",
    "PE",
    "FeatureSchema",
    "FeatureTable",
    "Inputs",
    "NormalizedTexts",
    "Normalizer",
    "arrow_columns",
    "get_normalizer",
]

FEATURES, PE = "features-v1", "pe-v1"
_PAGES_WITH_TEXT = "html-structure-text-v1"
_PAGE_TEXT = 400  # characters: the more n-grams, the less each feature counts
Inputs: TypeAlias = NormalizedTexts | FeatureTable  # what a student reads


@dataclass(frozen=True)
class Normalizer:
    """A rule set that normalizes events of one kind.

    Attributes
    ----------
    id
        Name and version, such as ``url-v1``.
    kind
        Number of the byte-level rules in the kernel.
    prepare
        Function that extracts the fields of a parsed format; None where the kernel does all.
    describe
        Function that makes text for people and teachers of an input; None where `prepare` does.
    wider
        Id of a form with the same features and more text, for students adapted to one stream.
    features
        Names of the features, if the normalized text is a row of features.
    """

    id: str
    kind: int
    prepare: Callable[[str | bytes], str | bytes] | None = None
    features: FeatureSchema | None = None
    describe: Callable[[str | bytes], str | bytes] | None = None
    wider: str | None = None

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


def _fields_by(
    module: str, function: str, *settings: object
) -> Callable[[str | bytes], str | bytes]:
    """Return a function of a module that is imported at the first event."""
    return partial(_extract, f"buckler.normalize.{module}", function, settings)


def _extract(
    module: str, function: str, settings: tuple[object, ...], raw: str | bytes
) -> str | bytes:
    fields: str | bytes = getattr(import_module(module), function)(raw, *settings)
    return fields


_EMAIL = _fields_by("email_v2", "email_fields")
_PAGE = _fields_by("html_v1", "html_fields")
NORMALIZERS = {
    n.id: n
    for n in (
        Normalizer("none", 0),
        Normalizer("url-v1", 1),
        Normalizer("url-v3", 5),
        Normalizer("url-site-v1", 6),
        Normalizer("text-v1", 2),
        Normalizer("command-v2", 3),
        Normalizer("email-v1", 2, _fields_by("email_v1", "email_fields")),
        Normalizer("email-v2", 2, _EMAIL),
        Normalizer("email-auth-v1", 2, _fields_by("email_v2", "email_auth_fields")),
        Normalizer(
            "email-text-v1", 2, _fields_by("email_v2", "email_text_fields"), describe=_EMAIL
        ),
        Normalizer("html-v1", 2, _PAGE),
        Normalizer(
            "html-structure-v2",
            4,
            _fields_by("html_v1", "html_structure_fields"),
            describe=_PAGE,
            wider=_PAGES_WITH_TEXT,
        ),
        Normalizer(
            _PAGES_WITH_TEXT,
            4,
            _fields_by("html_v1", "html_structure_fields", _PAGE_TEXT),
            describe=_PAGE,
        ),
    )
}


def get_normalizer(name: str, features: FeatureSchema | None = None) -> Normalizer:
    """Return the normalizer with this id.

    Raises
    ------
    SettingsError
        If this version of Buckler does not know the id, or the features do not fit.
    """
    if name in (FEATURES, PE):
        if features is None:
            raise SettingsError(f"normalizer {name!r} needs the names of the features")
        if len(set(features.names)) < len(features):
            raise SettingsError("a feature is named twice")
        if name == FEATURES:
            return Normalizer(FEATURES, 0, features.normalize, features)
        from buckler.normalize import pe_v1

        if (fault := pe_v1.check_names(features)) is not None:
            raise SettingsError(fault)
        return Normalizer(PE, 0, partial(pe_v1.program_row, features=features), features)
    if features is not None:
        raise SettingsError(f"normalizer {name!r} knows no features: use {FEATURES!r} or {PE!r}")
    try:
        return NORMALIZERS[name]
    except KeyError:
        known = ", ".join(sorted([*NORMALIZERS, FEATURES, PE]))
        raise SettingsError(f"unknown normalizer {name!r}: this version knows {known}") from None
