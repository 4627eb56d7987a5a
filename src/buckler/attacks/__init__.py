"""Attacks: changes that attackers make to an event so that no detector recognizes it.

An attack is a function from text to text that leaves the purpose of the event intact. It returns
the text unchanged where it does not apply. There is one module per medium (`Task.medium`), and each
attack is known by medium and name, such as ``url/redirector``. Training uses attacks to augment
data, evaluation to measure robustness, and synthesis to vary the style of synthetic examples.

- `attacks_on` lists the attacks on one medium.
- `get_attack` and `get_attacks` look attacks up by name.
- `attack` registers a function; another package names its module under the entry point group
  ``buckler.attacks``.

>>> import numpy as np
>>> attacker = Attacker(np.random.default_rng(0))
>>> get_attack("userinfo", "url")("https://evil.example/a", attacker).endswith("@evil.example/a")
True
"""

from buckler.attacks.attack import (
    Attack,
    Attacker,
    attack,
    attacks_on,
    get_attack,
    get_attacks,
    get_augmentations,
)

__all__ = [
    "Attack",
    "Attacker",
    "attack",
    "attacks_on",
    "get_attack",
    "get_attacks",
    "get_augmentations",
]
