"""One registry for every seam: tasks, readers, teachers, students, sinks, attacks, generators.

A thing is registered where it is defined, and found by its name. Built-in things are found by
looking through their package, third-party ones through an entry point: adding one is one new file,
and no file that exists changes.
"""

import logging
import pkgutil
from collections.abc import Callable
from importlib import import_module
from importlib.metadata import entry_points
from importlib.util import find_spec
from typing import Generic, TypeVar

from buckler.errors import SettingsError

_LOG = logging.getLogger(__name__)

T = TypeVar("T")
Item = TypeVar("Item")


class Registry(Generic[T]):
    """Things of one kind by their names.

    Parameters
    ----------
    noun
        What one of them is called in an error message, such as ``"student"``.
    packages
        Packages whose modules register the built-in ones. A module of the same name as the thing
        is imported first, so that the others are loaded only where the whole list is asked for.
    group
        Entry point group of third-party ones; loading an entry point registers them.
    key
        Returns the name of a thing that is registered without one.

    Examples
    --------
    >>> shapes: Registry[type] = Registry("shape", (), "example.shapes", lambda kind: kind.name)
    >>> @shapes.add
    ... class Square:
    ...     name = "square"
    >>> shapes.get("square").__name__
    'Square'
    >>> shapes.get("disc")
    Traceback (most recent call last):
    buckler.errors.SettingsError: unknown shape 'disc'; there are: square
    """

    def __init__(
        self, noun: str, packages: tuple[str, ...], group: str, key: Callable[[T], str]
    ) -> None:
        self.noun = noun
        self.packages = packages
        self.group = group
        self._key = key
        self._items: dict[str, T] = {}
        self._complete = False
        self._failures: dict[str, str] = {}

    def add(self, item: Item) -> Item:
        """Register a thing under its own name, and return it; works as a decorator."""
        self._items[self._key(item)] = item  # type: ignore[arg-type, assignment]
        return item

    def get(self, name: str) -> T:
        """Return the thing of this name.

        Raises
        ------
        SettingsError
            If there is none; the message lists those that there are.
        """
        if name not in self._items:
            self._import_namesake(name)
        if name not in self._items:
            self._import_all()
        if name not in self._items:
            known = ", ".join(self.names()) or "none"
            failed = "".join(f"; {entry} failed: {why}" for entry, why in self._failures.items())
            raise SettingsError(f"unknown {self.noun} {name!r}; there are: {known}{failed}")
        return self._items[name]

    def names(self) -> list[str]:
        """Return every name, sorted."""
        self._import_all()
        return sorted(self._items)

    def items(self) -> list[T]:
        """Return every thing, sorted by name."""
        return [self._items[name] for name in self.names()]

    def _import_namesake(self, name: str) -> None:
        stem = name.replace("-", "_")
        for package in self.packages:
            if stem.isidentifier() and find_spec(f"{package}.{stem}") is not None:
                import_module(f"{package}.{stem}")

    def _import_all(self) -> None:
        if self._complete:
            return
        self._complete = True
        for package in self.packages:
            for module in pkgutil.iter_modules(import_module(package).__path__):
                if not module.name.startswith("_"):
                    import_module(f"{package}.{module.name}")
        for entry in entry_points(group=self.group):
            try:
                entry.load()
            except Exception as error:  # a broken plug-in must not take the built-in ones down
                self._failures[entry.name] = f"{type(error).__name__}: {error}"[:200]
                _LOG.warning("plug-in %s (%s) cannot be loaded: %s", entry.name, self.group, error)
