"""The seam for attacks: a function under ``@attack`` in any module of this package."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from buckler.errors import SettingsError
from buckler.normalize import FeatureSchema
from buckler.registry import Registry

_SEPARATOR = "\x1f"


@dataclass(frozen=True)
class Attacker:
    """The means of an attacker.

    Attributes
    ----------
    rng
        Source of all randomness.
    benign
        Texts of events that are not positive, to imitate or to hide among.
    features
        Schema of the features, where an event is a row of them.
    drawn
        Indices of the benign events used so far.
    """

    rng: np.random.Generator
    benign: Sequence[str] = ()
    features: FeatureSchema | None = None
    drawn: list[int] = field(default_factory=list)

    def chance(self, share: float) -> bool:
        """Return True with this probability."""
        return bool(self.rng.random() < share)

    def below(self, number: int) -> int:
        """Return a whole number from 0 to below `number`."""
        return int(self.rng.integers(number))

    def one_of(self, choices: Sequence[str]) -> str:
        """Return one of several texts."""
        return choices[self.below(len(choices))]

    def benign_event(self) -> str:
        """Return a benign event; empty where there is none."""
        if not self.benign:
            return ""
        self.drawn.append(self.below(len(self.benign)))
        return self.benign[self.drawn[-1]]

    def benign_text(self) -> str:
        """Return the text of a benign event, without its context."""
        return self.benign_event().partition(_SEPARATOR)[0]


Change = Callable[[str, Attacker], str]


@dataclass(frozen=True)
class Attack:
    """One way to change an event.

    Attributes
    ----------
    name
        Name in recipes and reports.
    medium
        Medium of the events (`Task.medium`).
    description
        One line on what it does.
    change
        Function from text to text.
    for_benign
        True for a variation of events that are not positive: it enriches training data and is no
        attack.
    hides
        True for an attack that hides an event among benign ones. Nothing learns from such copies:
        their text is mostly benign, whatever their label.
    """

    name: str
    medium: str
    description: str
    change: Change = field(repr=False)
    for_benign: bool = False
    hides: bool = False

    def __call__(self, text: str, attacker: Attacker) -> str:
        """Return the changed event; its context (parent, user, …) stays."""
        if self.medium == "row":  # numbers, in which any byte may stand
            return self.change(text, attacker)
        head, separator, context = text.partition(_SEPARATOR)
        return self.change(head, attacker) + separator + context


_ATTACKS: Registry[Attack] = Registry(
    "attack", ("buckler.attacks",), "buckler.attacks", lambda a: f"{a.medium}/{a.name}"
)


def attack(
    name: str, *media: str, for_benign: bool = False, hides: bool = False
) -> Callable[[Change], Change]:
    """Register a function as an attack; the first line of its docstring describes it."""

    def register(change: Change) -> Change:
        description = (change.__doc__ or "").strip().splitlines()[0].replace("``", "")
        for medium in media:
            _ATTACKS.add(Attack(name, medium, description, change, for_benign, hides))
        return change

    return register


def attacks_on(medium: str) -> list[Attack]:
    """Return all attacks on events of this medium, sorted by name."""
    return [a for a in _ATTACKS.items() if a.medium == medium and not a.for_benign]


def get_attack(name: str, medium: str) -> Attack:
    """Return the attack of this name.

    Raises
    ------
    SettingsError
        If there is none for this medium.
    """
    if f"{medium}/{name}" not in _ATTACKS.names():
        known = ", ".join(a.name for a in attacks_on(medium)) or "none"
        raise SettingsError(f"no attack {name!r} on a {medium}; there are: {known}")
    return _ATTACKS.get(f"{medium}/{name}")


def get_attacks(names: Iterable[str], medium: str) -> list[Attack]:
    """Return the attacks of these names; all of them for the name ``all``."""
    names = list(names)
    return attacks_on(medium) if names == ["all"] else [get_attack(n, medium) for n in names]


def get_augmentations(names: Iterable[str], medium: str) -> list[Attack]:
    """Return the attacks of these names to learn from; ``all`` leaves out those that hide events.

    Raises
    ------
    SettingsError
        If one is unknown, or hides an event among benign ones.
    """
    names = list(names)
    found = get_attacks(names, medium)
    hiding = [a.name for a in found if a.hides]
    if hiding and names != ["all"]:
        raise SettingsError(
            f"the attack {hiding[0]!r} hides an event among benign ones: a student that learns "
            "such copies takes the benign text for the threat; use it to measure only"
        )
    return [a for a in found if not a.hides]
