"""The Task: its classes, which of them are positive, and how an event becomes normalized text."""

from dataclasses import dataclass, field

from buckler.errors import InputError, SettingsError
from buckler.normalize import FeatureSchema, NormalizedTexts, Normalizer, get_normalizer
from buckler.registry import Registry

MEDIA = ("url", "message", "command-line", "html", "text", "row")

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
    text_columns, label_columns, group_columns
        Names under which tables usually hold these, tried in order.
    context
        Names of the columns of each further field, in the order of the fields behind the text.
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
    """

    name: str
    classes: dict[str, str]
    positive: tuple[str, ...] = ()
    normalizer: str = "text-v1"
    max_bytes: int = 4096
    text_columns: tuple[str, ...] = ("text",)
    label_columns: tuple[str, ...] = ("label",)
    group_columns: tuple[str, ...] = ("group",)
    context: tuple[tuple[str, ...], ...] = ()
    group_by: str = "none"
    aliases: dict[str, str] = field(default_factory=dict)
    description: str = ""
    guidance: str = ""
    medium: str = "text"
    numbers: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()

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
        if self.group_by not in GROUPINGS:
            raise SettingsError(f"task {self.name!r}: group_by must be {', '.join(GROUPINGS)}")
        if self.medium not in MEDIA:
            raise SettingsError(f"task {self.name!r}: medium must be one of {', '.join(MEDIA)}")
        if self.features and self.max_bytes != 4 * len(self.features):
            raise SettingsError(f"task {self.name!r}: max_bytes is four times the features")
        get_normalizer(self.normalizer, self.features or None)

    @property
    def class_names(self) -> list[str]:
        """Class names in the order of every probability vector."""
        return list(self.classes)

    @property
    def text_normalizer(self) -> Normalizer:
        """The normalizer itself."""
        return get_normalizer(self.normalizer, self.features or None)

    @property
    def positive_indices(self) -> list[int]:
        """Indices of the positive classes."""
        return [self.class_names.index(name) for name in self.positive]

    def normalize(self, column: object) -> NormalizedTexts:
        """Return the normalized texts of an Arrow column, or of a list of texts."""
        return self.text_normalizer.normalize_column(column, self.max_bytes)

    @property
    def features(self) -> FeatureSchema:
        """Names of the features; empty where an event is a text."""
        return FeatureSchema(self.numbers, self.categories)

    def readable(self, raw: bytes | str) -> str:
        """Return an event as a person reads it: a message parsed, all else as it is."""
        normalizer = self.text_normalizer
        if normalizer.features is not None:
            row = normalizer.features.normalize(raw)
            return "\n".join(normalizer.features.describe(row))
        if normalizer.prepare is not None:
            prepared = normalizer.prepare(raw)
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
                f"{', …' if len(self.classes) > 12 else ''}); "
                "correct the data or add an alias to the task"
            ) from None


TASKS: Registry[Task] = Registry("task", ("buckler.tasks",), "buckler.tasks")
