import os
import socket
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from sqlalchemy import create_engine, text

from buckler.runtime import Scorer, load
from buckler.training.cross_validation import StudentSpec
from buckler.training.fit import fit_student
from buckler.training.packaging import write_fitted
from tests.support.made_up import made_up_events
from tests.support.postgres import postgres

# Examples of property tests may take any time: a busy machine is no failure.
settings.register_profile("buckler", deadline=None)
settings.load_profile("buckler")

# For libraries that tests import themselves: threads that wait do not take the other test's core.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files of slow tests: none of them ends long after all others."""
    slow = Counter(item.path for item in items if item.get_closest_marker("slow"))
    items.sort(key=lambda item: -slow[item.path])


REAL_DATA = Path(__file__).resolve().parents[1].parent / "shared" / "data"


@pytest.fixture(scope="session")
def real_data() -> Path:
    if not (REAL_DATA / "url").is_dir():
        pytest.skip("the public data sets are not beside this checkout (shared/data)")
    return REAL_DATA


@pytest.fixture(scope="session")
def url_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small url-threat bundle, trained on made-up URLs."""
    path = tmp_path_factory.mktemp("bundle") / "url.buckler"
    events = made_up_events(3000, np.random.default_rng(0))
    fitted = fit_student(events, StudentSpec("ngram", {"table_bits": 12}, folds=3))
    write_fitted(path, fitted)
    return path


@pytest.fixture(scope="session")
def url_scorer(url_bundle: Path) -> Scorer:
    return load(url_bundle)


@pytest.fixture(scope="session")
def postgres_url():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with postgres(port) as url:
        yield url


@pytest.fixture
def empty_postgres(postgres_url):
    """The URL of a database of which nothing stays behind."""
    yield postgres_url
    engine = create_engine(postgres_url.replace("postgresql://", "postgresql+pg8000://", 1))
    with engine.begin() as connection:
        connection.execute(text("DROP SCHEMA public CASCADE"))
        connection.execute(text("CREATE SCHEMA public"))
    engine.dispose()


@pytest.fixture(params=["sqlite", "postgresql"])
def store_where(request, tmp_path):
    """Where a label store can be: a file, and a PostgreSQL server."""
    if request.param == "sqlite":
        return str(tmp_path / "labels.db")
    return request.getfixturevalue("empty_postgres")
