"""Styles of attackers and typists, put on the texts of synthetic examples: the attacks, by name."""

from collections.abc import Iterable

import numpy as np

from buckler.attacks import Attack, Attacker, get_attack


def get_transform(name: str, medium: str) -> Attack:
    """Return what changes texts of this medium; of a message, its body as plain text.

    Raises
    ------
    SettingsError
        If there is none of this name.
    """
    return get_attack(name, "text" if medium == "message" else medium)


def transformed(text: str, names: Iterable[str], medium: str, rng: np.random.Generator) -> str:
    """Apply transforms, in order; of a message, to its body alone."""
    head, gap, body = text.partition("\n\n") if medium == "message" else ("", "", text)
    for name in names:
        body = get_transform(name, medium)(body, Attacker(rng))
    return head + gap + body
