"""The seam: an Attack is a function under ``@attack``; a further one is one more function."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points

import numpy as np

from buckler.errors import SettingsError
from buckler.normalize import FeatureSchema

_SEPARATOR = "\x1f"
_MODULES = ("text", "command_line", "url", "html", "email", "rows")


@dataclass(frozen=True)
class Scene:
    """What an attacker has at hand.

    Attributes
    ----------
    rng
        Everything random comes from it.
    benign
        Texts of events that are not positive, to imitate or to hide among.
    features
        Names of the features, where an event is a row of them.
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


Change = Callable[[str, Scene], str]


@dataclass(frozen=True)
class Attack:
    """One way to change an event.

    Attributes
    ----------
    name
        What recipes and reports call it.
    media
        Of which tasks' events (`Task.medium`).
    description
        One line: what is done.
    change
        Text in, text out.
    of_benign
        A variation of events that are not positive, for training data that lack them; no attack.
    """

    name: str
    media: tuple[str, ...]
    description: str
    change: Change = field(repr=False)
    of_benign: bool = False

    def __call__(self, text: str, scene: Scene) -> str:
        """Return the changed event; its context (parent, user, …) stays."""
        if "row" in self.media:  # numbers, in which any byte may stand
            return self.change(text, scene)
        head, separator, context = text.partition(_SEPARATOR)
        return self.change(head, scene) + separator + context


_ATTACKS: dict[tuple[str, str], Attack] = {}


def attack(name: str, *media: str, of_benign: bool = False) -> Callable[[Change], Change]:
    """Register a function as an attack; the first line of its docstring describes it."""

    def register(change: Change) -> Change:
        description = (change.__doc__ or "").strip().splitlines()[0].replace("``", "")
        found = Attack(name, media, description, change, of_benign)
        for medium in media:
            _ATTACKS[medium, name] = found
        return change

    return register


@cache
def _attacks() -> dict[tuple[str, str], Attack]:
    for module in _MODULES:
        import_module(f"buckler.attacks.{module}")
    for entry in entry_points(group="buckler.attacks"):
        entry.load()
    return _ATTACKS


def attacks_on(medium: str) -> list[Attack]:
    """Return all attacks on events of this medium."""
    found = [attack for (of, _), attack in _attacks().items() if of == medium]
    return [attack for attack in found if not attack.of_benign]


def get_attack(name: str, medium: str) -> Attack:
    """Return the attack of this name.

    Raises
    ------
    SettingsError
        If there is none for this medium.
    """
    try:
        return _attacks()[medium, name]
    except KeyError:
        known = ", ".join(a.name for a in attacks_on(medium)) or "none"
        raise SettingsError(f"no attack {name!r} on a {medium}: known are {known}") from None


def get_attacks(names: Iterable[str], medium: str) -> list[Attack]:
    """Return the attacks of these names; all of them for the name ``all``."""
    names = list(names)
    return attacks_on(medium) if names == ["all"] else [get_attack(n, medium) for n in names]
