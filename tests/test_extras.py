"""Optional libraries, and what is set before they load."""

import os

import pytest

from buckler.errors import MissingExtraError
from buckler.extras import import_extra


def test_threads_that_wait_for_each_other_sleep_unless_told_otherwise(monkeypatch):
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    import_extra("json", "a test", "trees")
    assert os.environ["OMP_WAIT_POLICY"] == "ACTIVE"
    monkeypatch.delenv("OMP_WAIT_POLICY")
    import_extra("json", "a test", "trees")
    assert os.environ["OMP_WAIT_POLICY"] == "PASSIVE"


def test_a_library_that_is_missing_is_named_by_its_extra():
    with pytest.raises(MissingExtraError, match=r"a test needs .*trees"):
        import_extra("no_such_library", "a test", "trees")
