"""The Task: its classes, which of them are positive, and how an event becomes normalized text."""

from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields
from functools import lru_cache
from pathlib import Path
from typing import Protocol

from publicsuffixlist import PublicSuffixList
from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from buckler.errors import InputError, SettingsError, did_you_mean
from buckler.files import read_settings
from buckler.normalize import (
    FEATURES,
    PE,
    FeatureSchema,
    FeatureTable,
    Inputs,
    NormalizedTexts,
    Normalizer,
    get_normalizer,
)
from buckler.normalize.feature_table import is_feature_column
from buckler.normalize.mail_headers import sender_of
from buckler.normalize.mime import message_headers
from buckler.normalize.segments import SEGMENTERS
from buckler.registry import Registry

MEDIA = ("url", "message", "command-line", "html", "text", "row")

# Tables and lists; ECS; Suricata, also through Wazuh; OCSF; Defender; Zeek; W3C logs of proxies.
URL_COLUMNS = (
    *("url", "text", "url.full", "url.original", "http.url", "data.http.url", "data.url"),
    *("http_request.url.url_string", "url.url_string", "RemoteUrl", "properties.RemoteUrl"),
    *("URL", "Url", "uri", "cs-uri", "cs-uri-stem", "url.path", "http_request.url.path"),
    # Names that were asked for, in records of DNS and TLS.
    *("dns.rrname", "dns.queries.rrname", "dns.query.rrname", "tls.sni", "quic.sni"),
    *("dns.question.name", "tls.client.server_name", "data.dns.rrname"),
    *("data.tls.sni", "query", "server_name"),
)
GROUPINGS = ("none", "registered-domain", "sender-domain", "page-domain")


@dataclass(frozen=True)
class Task:
    """One classification task.

    Attributes
    ----------
    name
        Name in recipes, bundles and on the command line.
    classes
        Class names with a sentence each, in the order of every probability vector.
    positive
        Classes to detect; empty where no class is worse than another.
    normalizer
        Id of the normalized text; part of the bundle.
    max_bytes
        Longest normalized text; a longer one is cut.
    text_columns, label_columns, group_columns, source_columns
        Names under which tables usually hold these, tried in order.
    segmenter
        Rule that cuts the normalized text into segments, for students that score them:
        ``commands``, ``windows``, ``host`` or ``head``; ``none`` where it cannot be cut.
    context
        Names of the columns of each further field, in the order of the fields behind the text.
    further_columns
        Column -> other names of it in logs, for columns that a teacher or a slice asks for.
    group_by
        Rule for the group (events that a split keeps together) where no column names it:
        ``registered-domain``, ``sender-domain``, ``page-domain`` or ``none``.
    aliases
        Other spellings of a class in data, such as ``malicious`` for ``phishing``.
    description
        Sentence that says what the task decides.
    guidance
        Advice to a teacher beyond the classes: what decides in doubt, what is easily mistaken.
    medium
        Kind of event: ``url``, ``message``, ``command-line``, ``html``, ``text`` or ``row``.
    numbers, categories
        Names of the features, where an event is a row of a table instead of a text.
    target_fpr
        False-positive rate that bundles are deployed for, unless another wish is given.
    """

    name: str
    classes: dict[str, str]
    positive: tuple[str, ...] = ()
    normalizer: str = "text-v1"
    max_bytes: int = 4096
    segmenter: str = "windows"
    text_columns: tuple[str, ...] = ("text",)
    label_columns: tuple[str, ...] = ("label",)
    group_columns: tuple[str, ...] = ("group",)
    source_columns: tuple[str, ...] = ("source",)
    context: tuple[tuple[str, ...], ...] = ()
    further_columns: dict[str, tuple[str, ...]] = field(default_factory=dict)
    group_by: str = "none"
    aliases: dict[str, str] = field(default_factory=dict)
    description: str = ""
    guidance: str = ""
    medium: str = "text"
    numbers: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    target_fpr: float = 0.01

    def __post_init__(self) -> None:
        if len(self.classes) < 2:
            raise SettingsError(f"task {self.name!r} needs at least two classes")
        if len(self.classes) > 1024:
            raise SettingsError(f"task {self.name!r} has more than 1,024 classes")
        for name in (*self.positive, *self.aliases.values()):
            if name not in self.classes:
                raise SettingsError(f"task {self.name!r} has no class {name!r}")
        if len(self.positive) == len(self.classes):
            raise SettingsError(f"task {self.name!r}: not every class can be positive")
        if not 1 <= self.max_bytes <= 1 << 20:
            raise SettingsError(f"task {self.name!r}: max_bytes must be 1 to 1048576")
        if not 0 < self.target_fpr < 1:
            raise SettingsError(f"task {self.name!r}: target_fpr must be above 0 and below 1")
        if self.group_by not in GROUPINGS:
            raise SettingsError(f"task {self.name!r}: group_by must be {', '.join(GROUPINGS)}")
        if self.segmenter not in SEGMENTERS:
            raise SettingsError(f"task {self.name!r}: segmenter must be {', '.join(SEGMENTERS)}")
        if self.medium not in MEDIA:
            raise SettingsError(f"task {self.name!r}: medium must be one of {', '.join(MEDIA)}")
        if self.features is not None and self.max_bytes != 4 * len(self.features):
            raise SettingsError(f"task {self.name!r}: max_bytes is four times the features")
        get_normalizer(self.normalizer, self.features)

    @property
    def class_names(self) -> list[str]:
        """Class names in the order of every probability vector."""
        return list(self.classes)

    @property
    def text_normalizer(self) -> Normalizer:
        """The normalizer itself."""
        return get_normalizer(self.normalizer, self.features)

    @property
    def positive_indices(self) -> list[int]:
        """Indices of the positive classes."""
        return [self.class_names.index(name) for name in self.positive]

    @property
    def positive_bits(self) -> int:
        """A bit for each positive class below 64, as the kernel takes them."""
        return sum(1 << index for index in self.positive_indices if index < 64)

    def to_json(self) -> dict[str, object]:
        """Return the task as its file would define it."""
        found = asdict(self)
        features = {name: found.pop(name) for name in ("numbers", "categories")}
        return found | ({"features": features} if self.features else {})

    def normalize(self, column: object) -> NormalizedTexts:
        """Return the normalized texts of an Arrow column, or of a list of texts."""
        return self.text_normalizer.normalize_column(column, self.max_bytes)

    def inputs(self, column: object) -> Inputs:
        """Return the normalized texts or the rows of features of an Arrow column, or of a list."""
        if not self.features:
            return self.normalize(column)
        if is_feature_column(column):
            return FeatureTable.from_arrow(self.features, column)
        return FeatureTable.from_texts(self.features, self.normalize(column))

    @property
    def features(self) -> FeatureSchema | None:
        """Names of the features; None where an event is a text."""
        if not self.numbers and not self.categories:
            return None
        return FeatureSchema(self.numbers, self.categories)

    def readable(self, raw: bytes | str) -> str:
        """Return an event as a person reads it: a message parsed, all else as it is."""
        normalizer = self.text_normalizer
        if normalizer.features is not None and raw:
            row = normalizer.features.normalize(raw)
            return "\n".join(normalizer.features.describe(row))
        if (describe := normalizer.describe or normalizer.prepare) is not None:
            prepared = describe(raw)
            text = prepared if isinstance(prepared, str) else prepared.decode("utf-8", "replace")
            return text.replace("\x1f", "\n")
        text = raw if isinstance(raw, str) else raw.decode("utf-8", "replace")
        if not self.context or "\x1f" not in text:
            return text
        first, *others = text.split("\x1f")
        named = zip((names[0] for names in self.context), others, strict=False)
        return "\n".join([first, *(f"{name}: {value}" for name, value in named if value)])

    def class_index(self, label: str) -> int:
        """Return the index of a label as data spells it.

        Raises
        ------
        InputError
            If the task has no such class.
        """
        name = self.aliases.get(label, label)
        if name not in self.classes:
            name = self.aliases.get(label.strip().lower(), label.strip().lower())
        try:
            return self.class_names.index(name)
        except ValueError:
            raise InputError(
                f"label {label[:60]!r} is not a class of task {self.name!r} "
                f"(classes: {', '.join(self.class_names[:12])}"
                f"{', …' if len(self.classes) > 12 else ''})"
                f"{did_you_mean(label, [*self.classes, *self.aliases]) or ';'} "
                "correct the data or add an alias to the task"
            ) from None


TASKS: Registry[Task] = Registry("task", ("buckler.tasks",), "buckler.tasks")


def list_tasks() -> list[Task]:
    """Return every task that is installed, by name."""
    return TASKS.items()


def get_task(name: str | Path) -> Task:
    """Return the task of this name, or the one that this TOML file defines.

    Raises
    ------
    SettingsError
        If there is no such task, or the file is not a sound definition.
    """
    if str(name).endswith(".toml"):
        return _task_from_toml(Path(name))
    try:
        return TASKS.get(str(name))
    except SettingsError as error:
        raise SettingsError(f"{error}; or give a .toml file", field="task") from None


class TaskRecord(Protocol):
    """The part of a bundle's manifest that names and defines its task."""

    @property
    def task(self) -> str:
        """Name of the task."""

    @property
    def classes(self) -> Mapping[str, str]:
        """Class names with a sentence each."""

    @property
    def task_definition(self) -> Mapping[str, object]:
        """The task as its file defines it."""


def get_bundle_task(manifest: TaskRecord, name: str | None = None) -> Task:
    """Return the task that a bundle was made for.

    Parameters
    ----------
    manifest
        Manifest of the bundle. Its definition serves where the task is not installed.
    name
        Name of the task, or the TOML file of a task of one's own, in place of the bundle's name:
        a bundle names no file to read.

    Raises
    ------
    InputError
        If the task is not installed and nothing defines it, or its classes are others.
    SettingsError
        If the definition is not sound.
    """
    wanted, expected = name or manifest.task, tuple(manifest.classes)
    if wanted in TASKS.names() or (name and name.endswith(".toml")):
        task = get_task(wanted)
    elif manifest.task_definition.get("name") == wanted:
        try:
            task = _make_task(_task_model().model_validate(manifest.task_definition))
        except ValidationError as error:
            raise SettingsError(f"the bundle's definition of {wanted!r} is not sound") from error
    else:
        raise InputError(f"the task {wanted!r} is not installed; give its file", field="task")
    if tuple(task.classes) != expected:
        raise InputError(
            f"the bundle's classes are {', '.join(expected)}, those of the task "
            f"{', '.join(task.classes)}; name the task that the bundle was made for",
            field="task",
        )
    return task


class _FeaturesTable(BaseModel):
    model_config = ConfigDict(extra="forbid")

    numbers: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()


def _task_model() -> type[BaseModel]:
    """Return the model of a task file: the attributes of a task, with the features as a table."""
    known: dict[str, tuple[object, object]] = {"features": (_FeaturesTable | None, None)}
    for own in fields(Task):
        if own.name in ("numbers", "categories"):
            continue
        default: object = ... if own.default is MISSING else own.default
        if own.default_factory is not MISSING:
            default = Field(default_factory=own.default_factory)
        known[own.name] = (own.type, default)
    return create_model("TaskFile", __config__=ConfigDict(extra="forbid"), **known)  # type: ignore[call-overload, no-any-return]


def _task_from_toml(path: Path) -> Task:
    try:
        return _make_task(read_settings(path, _task_model()))
    except SettingsError as error:
        if error.path is not None:
            raise
        raise SettingsError(f"{path}: {error}", path=path) from error


def _make_task(found: BaseModel) -> Task:
    settings = found.model_dump()
    if (table := settings.pop("features")) is not None:
        settings |= {**table, "medium": "row"}
        settings["normalizer"] = PE if settings["normalizer"] == PE else FEATURES
        settings["max_bytes"] = 4 * (len(table["numbers"]) + len(table["categories"]))
    return Task(**settings)


def group_of(text: bytes, normalized: bytes, group_by: str) -> str | None:
    """Return the group of one event by the task's rule; None where it has none."""
    if group_by == "registered-domain":
        return registered_domain(normalized.partition(b"\x1f")[0])
    if group_by == "page-domain":
        from buckler.normalize.html_v1 import page_host

        return registered_domain(page_host(text).encode("utf-8", "replace")) or None
    if group_by == "sender-domain":
        return _sender_site(text)
    return None


def _sender_site(message: bytes) -> str | None:
    """Return the registered domain of who sent a mail, as a reader sees it."""
    domain = sender_of(message_headers(message)).domain
    site = registered_domain(domain.encode("utf-8", "replace"))
    try:
        return site.encode("ascii").decode("idna") or None
    except ValueError:
        return site


@lru_cache(maxsize=1)
def _suffixes() -> PublicSuffixList:
    return PublicSuffixList(accept_unknown=True)


@lru_cache(maxsize=1 << 16)
def registered_domain(host: bytes) -> str:
    """Return the registered domain of a normalized host; private suffixes count as suffixes.

    The Public Suffix List is the copy inside the installed package: no network.
    """
    name = host.decode("utf-8", "replace").rpartition("@")[2]
    name = name.rsplit(":", 1)[0] if name.rsplit(":", 1)[-1].isdigit() else name
    if name.replace(".", "").isdigit() or len(name) > 253:
        return name[:253]
    try:
        name_in_list = name.encode("idna").decode() if not name.isascii() else name
    except UnicodeError:
        return name
    return _suffixes().privatesuffix(name_in_list) or name
