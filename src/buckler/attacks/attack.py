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
    """

    rng: np.random.Generator
    benign: Sequence[str] = ()
    features: FeatureSchema | None = None

    def chance(self, share: float) -> bool:
        """Return True with this probability."""
        return bool(self.rng.random() < share)

    def below(self, number: int) -> int:
        """Return a whole number from 0 to below `number`."""
        return int(self.rng.integers(number))

    def one_of(self, choices: Sequence[str]) -> str:
        """Return one of several texts."""
        return choices[self.below(len(choices))]

    def benign_text(self) -> str:
        """Return the text of a benign event, without its context."""
        return self.one_of(self.benign).partition(_SEPARATOR)[0] if self.benign else ""


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
    """

    name: str
    medium: str
    description: str
    change: Change = field(repr=False)
    for_benign: bool = False

    def __call__(self, text: str, attacker: Attacker) -> str:
        """Return the changed event; its context (parent, user, …) stays."""
        if self.medium == "row":  # numbers, in which any byte may stand
            return self.change(text, attacker)
        head, separator, context = text.partition(_SEPARATOR)
        return self.change(head, attacker) + separator + context


_ATTACKS: Registry[Attack] = Registry(
    "attack", ("buckler.attacks",), "buckler.attacks", lambda a: f"{a.medium}/{a.name}"
)


def attack(name: str, *media: str, for_benign: bool = False) -> Callable[[Change], Change]:
    """Register a function as an attack; the first line of its docstring describes it."""

    def register(change: Change) -> Change:
        description = (change.__doc__ or "").strip().splitlines()[0].replace("``", "")
        for medium in media:
            _ATTACKS.add(Attack(name, medium, description, change, for_benign))
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
