"""What attackers do to an event so that it is not recognized, as transforms of its text.

One file a medium. An attack leaves what the event does as it is; it returns the text unchanged
where it cannot be applied.
"""

from buckler.attacks.attack import Attack, Scene, attacks_on, get_attack, get_attacks

__all__ = ["Attack", "Scene", "attacks_on", "get_attack", "get_attacks"]
