"""Templates: TOML files that describe which synthetic examples to write.

A template crosses its families with the attributes that they name. Each combination of attribute
values asks for examples of its own:

.. code-block:: toml

    task = "url-threat"

    [attribute.lure.login]
    description = "asks to sign in"
    slots.path = ["signin", "account/login"]

    [attribute.style.upper]
    description = "in capitals"
    transform = "random-case"

    [[family]]
    class = "phishing"
    description = "imitates a bank"
    combine.lure = ["login"]           # or "*"
    patterns = ["https://[[host]]/[[path]]"]

    [slots]
    host = ["secure-[[word]].example"]

In a pattern, ``[[name]]`` is a slot that takes one of its values, and ``[[a|b|]]`` one of the
values written out. Further keys of a family are attributes with one value.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from buckler.attacks import Attack, Attacker, get_attack
from buckler.errors import SettingsError
from buckler.files import read_settings
from buckler.tasks import Task, get_task

MAX_COMBINATIONS = 20_000
_TEMPLATES = Path(__file__).parent / "templates"
_REFERENCE = re.compile(r"\[\[([a-z_]+)\]\]")
Slots = dict[str, list[str]]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class AttributeValue(_Strict):
    """One value of an attribute.

    Attributes
    ----------
    description
        Meaning in words, for a language model.
    slots
        Values for slots.
    transform
        Name of an attack that changes the text.
    take, set, scale
        For rows of features: globs of features to take from another row; globs -> values to choose
        from; globs -> range of a factor.
    """

    description: str = Field(default="", max_length=500)
    slots: Slots = {}
    transform: str | None = None
    take: list[str] = []
    set: dict[str, list[float]] = {}
    scale: dict[str, tuple[float, float]] = {}


class Family(BaseModel):
    """Synthetic examples of one class that share their patterns.

    Attributes
    ----------
    label
        Class name (``class`` in the file).
    description
        Meaning in words, for a language model.
    patterns
        Texts with slots, for the grammar; without any, only a language model can write the family.
    combine
        Attributes to combine: names of their values, or ``"*"`` for all.
    """

    model_config = ConfigDict(extra="allow", populate_by_name=True)

    label: str = Field(alias="class")
    description: str = Field(default="", max_length=2000)
    patterns: list[str] = []
    combine: dict[str, list[str] | Literal["*"]] = {}

    @property
    def single_values(self) -> dict[str, str]:
        """Attributes with one value."""
        return {name: str(value) for name, value in (self.model_extra or {}).items()}


class _TemplateFile(_Strict):
    task: str
    attribute: dict[str, dict[str, AttributeValue]] = {}
    family: list[Family] = Field(min_length=1, max_length=2000)
    slots: Slots = {}


@dataclass(frozen=True)
class Combination:
    """One combination of attribute values of a family.

    Attributes
    ----------
    label
        Class name.
    attributes
        Attribute -> value.
    description
        Descriptions of family and attributes in one sentence.
    patterns
        Texts with slots.
    slots
        Values that the attributes give to slots.
    transforms
        Attribute -> name of the attack that changes the text, in order.
    take, set, scale
        Changes of rows, as in `AttributeValue`.
    """

    label: str
    attributes: dict[str, str]
    description: str = ""
    patterns: tuple[str, ...] = ()
    slots: Slots = field(default_factory=dict)
    transforms: dict[str, str] = field(default_factory=dict)
    take: tuple[str, ...] = ()
    set: dict[str, list[float]] = field(default_factory=dict)
    scale: dict[str, tuple[float, float]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Class and attributes in one line, the same in every run."""
        return ", ".join([self.label, *(f"{k}={v}" for k, v in self.attributes.items())])


@dataclass(frozen=True)
class Template:
    """Combinations to write examples for.

    Attributes
    ----------
    task
        Task of the examples.
    combinations
        Combinations in the order of the file.
    slots
        Values that every pattern may use.
    """

    task: Task
    combinations: list[Combination]
    slots: Slots

    def matching(self, values: Mapping[str, set[str]]) -> "Template":
        """Return a template with those combinations that have one of these values.

        Parameters
        ----------
        values
            Attribute, or ``class`` -> accepted values.

        Raises
        ------
        SettingsError
            If no combination has.
        """
        found = [
            combination
            for combination in self.combinations
            if all(
                ({"class": combination.label} | combination.attributes).get(name) in accepted
                for name, accepted in values.items()
            )
        ]
        if not found:
            asked = ", ".join(f"{name}={'|'.join(sorted(v))}" for name, v in values.items())
            raise SettingsError(f"no combination of the template has {asked}")
        return Template(self.task, found, self.slots)


def apply_transforms(
    text: str, combination: Combination, task: Task, rng: np.random.Generator
) -> str:
    """Apply the transforms of a combination in order; of a message, to its body alone."""
    head, gap, body = text.partition("\n\n") if task.medium == "message" else ("", "", text)
    for name in combination.transforms.values():
        body = _get_transform(name, task)(body, Attacker(rng, (), task.features))
    return head + gap + body


def _get_transform(name: str, task: Task) -> Attack:
    return get_attack(name, "text" if task.medium == "message" else task.medium)


def list_templates() -> list[str]:
    """Return the names of the tasks that come with a template."""
    return sorted(path.stem for path in _TEMPLATES.glob("*.toml"))


def read_template(task: Task, path: Path | None = None) -> Template:
    """Read a template; by default the one that comes with the task.

    Raises
    ------
    SettingsError
        If there is none, or it is not valid.
    """
    if path is None:
        path = _TEMPLATES / f"{task.name}.toml"
        if not path.is_file():
            raise SettingsError(
                f"task {task.name!r} comes without a template (these have one: "
                f"{', '.join(list_templates())}); write one and name it",
                field="template",
            )
    file = read_settings(path, _TemplateFile)
    if file.task != task.name and not _same_classes(file.task, task):
        raise SettingsError(
            f"{path}: a template of task {file.task!r}, not of {task.name!r}", path=path
        )
    for name, values in file.attribute.items():
        for value, attribute in values.items():
            if attribute.transform is not None:
                try:
                    _get_transform(attribute.transform, task)
                except SettingsError as error:
                    raise SettingsError(
                        f"{path}: attribute.{name}.{value}: {error}", path=path
                    ) from error
    found: list[Combination] = []
    for number, family in enumerate(file.family, 1):
        where = f"{path}: family {number}"
        if family.label not in task.classes:
            raise SettingsError(f"{where}: task {task.name!r} has no class {family.label!r}")
        own = list(_combine(family, file.attribute, where))
        for combination in own:
            _check_slots(combination, file.slots, where)
        found += own
        if len(found) > MAX_COMBINATIONS:
            raise SettingsError(
                f"{path}: more than {MAX_COMBINATIONS:,} combinations; combine fewer attributes",
                path=path,
            )
    return Template(task, found, file.slots)


def _combine(
    family: Family, attributes: dict[str, dict[str, AttributeValue]], where: str
) -> Iterator[Combination]:
    axes: list[list[tuple[str, str]]] = []
    for name, values in family.combine.items():
        known = attributes.get(name, {})
        chosen = list(known) if values == "*" else values
        unknown = [value for value in chosen if value not in known]
        if unknown or not chosen:
            raise SettingsError(f"{where}: no value {unknown or values} of attribute {name!r}")
        axes.append([(name, value) for value in chosen])
    for pairs in product(*axes):
        parts = [attributes[name][value] for name, value in pairs]
        descriptions = [family.description, *(part.description for part in parts)]
        yield Combination(
            label=family.label,
            attributes=family.single_values | dict(pairs),
            description="; ".join(filter(None, descriptions)),
            patterns=tuple(family.patterns),
            slots={slot: values for part in parts for slot, values in part.slots.items()},
            transforms={
                name: part.transform
                for (name, _), part in zip(pairs, parts, strict=True)
                if part.transform
            },
            take=tuple(glob for part in parts for glob in part.take),
            set={glob: values for part in parts for glob, values in part.set.items()},
            scale={glob: factors for part in parts for glob, factors in part.scale.items()},
        )


def _same_classes(name: str, task: Task) -> bool:
    """Tell whether a template of a built-in task fits another task."""
    try:
        other = get_task(name)
    except SettingsError:
        return False
    return (other.normalizer, other.class_names) == (task.normalizer, task.class_names)


def _check_slots(combination: Combination, shared: Slots, where: str) -> None:
    known = shared.keys() | combination.slots.keys()
    values = [value for slot in combination.slots.values() for value in slot]
    for text in (*combination.patterns, *values):
        for name in _REFERENCE.findall(text):
            if name not in known:
                raise SettingsError(f"{where}: {text[:60]!r}: no slot {name!r}")
