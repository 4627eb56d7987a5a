"""The plan: a grid of attributes, whose cells say what to write.

A plan is a TOML file. Its families are crossed with the attributes that they name:

.. code-block:: toml

    task = "url-threat"

    [attribute.lure.login]
    say = "asks to sign in"
    slots.path = ["signin", "account/login"]

    [attribute.style.upper]
    say = "in capitals"
    transform = "random-case"

    [[family]]
    class = "phishing"
    say = "imitates a bank"
    cross.lure = ["login"]           # or "*"
    forms = ["https://[[host]]/[[path]]"]

    [slots]
    host = ["secure-[[word]].example"]

``[[name]]`` stands for a choice among a slot's values, ``[[a|b|]]`` for one of those written out.
Other keys of a family are attributes with one value.
"""

import re
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from buckler.errors import SettingsError
from buckler.settings_file import read_settings
from buckler.synthesis.transforms import get_transform
from buckler.tasks import Task, get_task

MAX_CELLS = 20_000
_PLANS = Path(__file__).parent / "plans"
_REFERENCE = re.compile(r"\[\[([a-z_]+)\]\]")


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class AttributeValue(_Strict):
    """One value of an attribute: what it means, what it puts into slots, what it does to a text.

    Of rows of features: which are taken from another row, get a value, or are multiplied.
    """

    say: str = Field(default="", max_length=500)
    slots: dict[str, list[str]] = {}
    transform: str | None = None
    take: list[str] = []
    put: dict[str, list[float]] = {}
    scale: dict[str, tuple[float, float]] = {}


class Family(BaseModel):
    """A row of the grid.

    Attributes
    ----------
    label
        The class of its synthetic examples (``class`` in the file).
    say
        What a synthetic example is, in words: for whoever writes or judges it.
    forms
        What the grammar expands; without any, only a language model can write it.
    cross
        Attributes to cross it with: names of their values, or ``"*"`` for all.
    """

    model_config = ConfigDict(extra="allow", populate_by_name=True)

    label: str = Field(alias="class")
    say: str = Field(default="", max_length=2000)
    forms: list[str] = []
    cross: dict[str, list[str] | Literal["*"]] = {}

    @property
    def fixed(self) -> dict[str, str]:
        """The attributes that have one value."""
        return {name: str(value) for name, value in (self.model_extra or {}).items()}


class _PlanFile(_Strict):
    task: str
    attribute: dict[str, dict[str, AttributeValue]] = {}
    family: list[Family] = Field(min_length=1, max_length=2000)
    slots: dict[str, list[str]] = {}


@dataclass(frozen=True)
class Cell:
    """One cell of the grid.

    Attributes
    ----------
    label
        Class name.
    attributes
        Name -> value.
    say
        All that the family and the attributes say, in words.
    forms
        For the grammar.
    slots
        What the cell's attributes put into slots.
    transforms
        Attribute -> what it does to a text, in order.
    take, put, scale
        For crossing: globs of features that come from another row; globs -> values to choose from;
        globs -> the range of a factor.
    """

    label: str
    attributes: dict[str, str]
    say: str
    forms: tuple[str, ...]
    slots: dict[str, list[str]]
    transforms: dict[str, str]
    take: tuple[str, ...] = ()
    put: dict[str, list[float]] = field(default_factory=dict)
    scale: dict[str, tuple[float, float]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Class and attributes in one line: the same cell in every run."""
        return ", ".join([self.label, *(f"{k}={v}" for k, v in self.attributes.items())])


@dataclass(frozen=True)
class Plan:
    """What to write.

    Attributes
    ----------
    cells
        In the order of the file.
    slots
        Values that any form may use.
    """

    task: Task
    cells: list[Cell]
    slots: dict[str, list[str]]

    def matching(self, wanted: dict[str, set[str]]) -> "Plan":
        """Return only the cells whose attributes (or ``class``) have one of the wanted values.

        Raises
        ------
        SettingsError
            If none has.
        """
        cells = [
            cell
            for cell in self.cells
            if all(
                ({"class": cell.label} | cell.attributes).get(name) in values
                for name, values in wanted.items()
            )
        ]
        if not cells:
            said = ", ".join(f"{name}={'|'.join(sorted(v))}" for name, v in wanted.items())
            raise SettingsError(f"no cell of the plan has {said}")
        return Plan(self.task, cells, self.slots)


def list_plans() -> list[str]:
    """Return the names of the tasks that come with a plan."""
    return sorted(path.stem for path in _PLANS.glob("*.toml"))


def read_plan(task: Task, path: Path | None = None) -> Plan:
    """Read a plan; by default the one that comes with the task.

    Raises
    ------
    SettingsError
        If there is none, or it makes no sense.
    """
    if path is None:
        path = _PLANS / f"{task.name}.toml"
        if not path.is_file():
            raise SettingsError(
                f"task {task.name!r} comes without a plan (these have one: "
                f"{', '.join(list_plans())}); write one and name it",
                field="plan",
            )
    file = read_settings(path, _PlanFile)
    if file.task != task.name and not _same_form(file.task, task):
        raise SettingsError(f"{path}: a plan of task {file.task!r}, not of {task.name!r}")
    for name, values in file.attribute.items():
        for value, said in values.items():
            if said.transform is not None:
                try:
                    get_transform(said.transform, task.medium)
                except SettingsError as error:
                    raise SettingsError(f"{path}: attribute.{name}.{value}: {error}") from error
    cells: list[Cell] = []
    for number, family in enumerate(file.family, 1):
        where = f"{path}: family {number}"
        if family.label not in task.classes:
            raise SettingsError(f"{where}: task {task.name!r} has no class {family.label!r}")
        own = list(_cells(family, file.attribute, where))
        for cell in own:
            _check_slots(cell, file.slots, where)
        cells += own
        if len(cells) > MAX_CELLS:
            raise SettingsError(f"{path}: more than {MAX_CELLS:,} cells; cross fewer attributes")
    return Plan(task, cells, file.slots)


def _cells(family: Family, attributes: dict[str, dict[str, AttributeValue]], where: str) -> Any:
    axes: list[list[tuple[str, str]]] = []
    for name, values in family.cross.items():
        known = attributes.get(name, {})
        chosen = list(known) if values == "*" else values
        unknown = [value for value in chosen if value not in known]
        if unknown or not chosen:
            raise SettingsError(f"{where}: no value {unknown or values} of attribute {name!r}")
        axes.append([(name, value) for value in chosen])
    for combination in product(*axes):
        said = [attributes[name][value] for name, value in combination]
        slots: dict[str, list[str]] = {}
        for value in said:
            slots |= value.slots
        yield Cell(
            family.label,
            family.fixed | dict(combination),
            "; ".join(filter(None, [family.say, *(value.say for value in said)])),
            tuple(family.forms),
            slots,
            {
                name: value.transform
                for (name, _), value in zip(combination, said, strict=True)
                if value.transform
            },
            tuple(glob for value in said for glob in value.take),
            {glob: values for value in said for glob, values in value.put.items()},
            {glob: range_ for value in said for glob, range_ in value.scale.items()},
        )


def _same_form(name: str, task: Task) -> bool:
    """Whether a plan of a built-in task fits another of the same normalized text and classes."""
    try:
        other = get_task(name)
    except SettingsError:
        return False
    return (other.normalizer, other.class_names) == (task.normalizer, task.class_names)


def _check_slots(cell: Cell, shared: dict[str, list[str]], where: str) -> None:
    known = shared.keys() | cell.slots.keys()
    values = [value for slot in cell.slots.values() for value in slot]
    for form in (*cell.forms, *values):
        for name in _REFERENCE.findall(form):
            if name not in known:
                raise SettingsError(f"{where}: {form[:60]!r}: no slot {name!r}")
