"""One registry for every seam: tasks, readers, teachers, students, sinks, attacks, generators.

A thing is registered where it is defined, and found by its name. Built-in things are found by
looking through their packages, third-party ones through an entry point: adding one is one new file,
and no existing file changes.
"""

from collections.abc import Callable
from importlib import import_module
from operator import attrgetter
from typing import Generic, TypeVar

from buckler.errors import SettingsError, did_you_mean

_LONGEST_NAME = 60

T = TypeVar("T")
Item = TypeVar("Item")


class Registry(Generic[T]):
    """Things of one kind by their names.

    Parameters
    ----------
    noun
        Name of the kind in error messages, such as ``"student"``.
    packages
        Packages whose modules register the built-in things. A module with the name of the thing is
        imported first, so that the others are imported only where the whole list is needed.
    group
        Entry point group of third-party things. An entry point has the name of its thing; importing
        the module that it points to registers the thing.
    key
        Returns the name of a thing; its attribute `name` by default.

    Examples
    --------
    >>> shapes: Registry[type] = Registry("shape", (), "example.shapes")
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
        self,
        noun: str,
        packages: tuple[str, ...],
        group: str,
        key: Callable[[T], str] = attrgetter("name"),
    ) -> None:
        self.noun = noun
        self.packages = packages
        self.group = group
        self._key = key
        self._items: dict[str, T] = {}
        self._complete = False
        self._failures: dict[str, str] = {}

    def add(self, item: Item) -> Item:
        """Register a thing under its own name, and return it; works as a decorator.

        Raises
        ------
        SettingsError
            If the name belongs to another thing already.
        """
        name = self._key(item)  # type: ignore[arg-type]
        if name in self._items and _definition(self._items[name]) != _definition(item):
            raise SettingsError(f"there are two {self.noun}s {name!r}", field=name)
        self._items[name] = item  # type: ignore[assignment]
        return item

    def get(self, name: str) -> T:
        """Return the thing of this name.

        Raises
        ------
        SettingsError
            If there is none; the message lists those that there are.
        """
        for look in (self._import_namesake, self._load_entry_points, self._import_all):
            if name not in self._items:
                look(name)
        if name not in self._items:
            known = ", ".join(self.names()) or "none"
            failures = "".join(f"; {entry} failed: {why}" for entry, why in self._failures.items())
            shown = name[:_LONGEST_NAME]
            meant = did_you_mean(name, self.names())
            raise SettingsError(
                f"unknown {self.noun} {shown!r}{meant or ';'} there are: {known}{failures}"
            )
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
        if not stem.isidentifier() or len(stem) > _LONGEST_NAME:
            return
        from importlib.util import find_spec

        for package in self.packages:
            if name not in self._items and find_spec(f"{package}.{stem}") is not None:
                import_module(f"{package}.{stem}")

    def _load_entry_points(self, name: str | None = None) -> None:
        # These import `email` and `logging`, which an endpoint seldom needs.
        import logging
        from importlib.metadata import EntryPoint, entry_points

        from buckler.isolation import Failure, catch

        for entry in entry_points(group=self.group):
            if name is not None and entry.name != name:
                continue
            result = catch(EntryPoint.load, entry)
            if isinstance(result, Failure):  # a broken plug-in takes no built-in one down
                error = result.error
                self._failures[entry.name] = f"{type(error).__name__}: {error}"[:200]
                logging.getLogger(__name__).warning(
                    "plug-in %s (%s) cannot be loaded: %s", entry.name, self.group, error
                )

    def _import_all(self, _name: str | None = None) -> None:
        if self._complete:
            return
        import pkgutil

        for package in self.packages:
            for module in pkgutil.iter_modules(import_module(package).__path__):
                if not module.name.startswith("_"):
                    import_module(f"{package}.{module.name}")
        self._load_entry_points()
        self._complete = True


def _definition(item: object) -> object:
    """Return the place of a class or function, which outlasts a reload, or the value itself."""
    if hasattr(item, "__qualname__"):
        return item.__module__, item.__qualname__
    return item
