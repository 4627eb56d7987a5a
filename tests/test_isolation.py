"""Isolation: what one event does wrong is its own affair."""

from importlib.metadata import EntryPoint

import pytest

from buckler.errors import InputError, SettingsError
from buckler.isolation import EventFault, attempt, isolate
from buckler.registry import Registry


def failing(error):
    def work(event):
        raise error

    return work


def test_any_exception_of_one_event_is_a_reason():
    for error in (
        TypeError("x"),
        RecursionError(),
        MemoryError(),
        UnicodeEncodeError("a", "b", 0, 1, "c"),
    ):
        found = attempt(failing(error), b"")
        assert found == EventFault(f"cannot be read ({type(error).__name__})", error)
    assert attempt(failing(InputError("no text")), b"").reason == "no text"
    assert attempt(len, b"four") == 4


def test_faults_that_are_not_the_events_are_raised():
    for error in (SettingsError("no such option"), KeyboardInterrupt(), SystemExit()):
        with pytest.raises(type(error)):
            attempt(failing(error), b"")


def test_rows_are_worked_on_together_and_one_by_one_only_after_a_failure():
    calls = []

    def work(start, stop):
        calls.append((start, stop))
        if start <= 2 < stop:
            raise ValueError
        return stop - start

    assert isolate(work, 2) == ([2], {})
    assert calls == [(0, 2)]
    found, faults = isolate(work, 4)
    assert found == [1, 1, 1]
    assert faults == {2: "cannot be read (ValueError)"}
    assert isolate(lambda start, stop: [1 // (stop - start - 1)] * 0 if stop else [], 1) == (
        [[]],
        {0: "cannot be read (ZeroDivisionError)"},
    )
    assert isolate(lambda start, stop: (start, stop), 0) == ([(0, 0)], {})


def test_a_plug_in_that_breaks_takes_no_other_one_down(monkeypatch, caplog):
    broken = EntryPoint("broken", "no_such_module:thing", "buckler.things")
    monkeypatch.setattr("importlib.metadata.entry_points", lambda group: [broken])
    things: Registry[EventFault] = Registry("thing", (), "buckler.things", lambda f: f.reason)
    sound = things.add(EventFault("sound", ValueError()))
    assert things.items() == [sound]
    assert "broken (buckler.things) cannot be loaded: No module named" in caplog.text
    with pytest.raises(SettingsError, match="broken failed: ModuleNotFoundError"):
        things.get("other")
