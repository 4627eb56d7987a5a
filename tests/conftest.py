from pathlib import Path

import numpy as np
import pytest

from buckler.learning.fit import fit_student
from buckler.learning.package import write_fitted
from buckler.runtime import Scorer, load
from buckler.tasks import get_task
from tests.made_up import made_up_events

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
    fitted = fit_student(events, get_task("url-threat"), "ngram", {"table_bits": 12}, folds=3)
    write_fitted(path, fitted, get_task("url-threat"))
    return path


@pytest.fixture(scope="session")
def url_scorer(url_bundle: Path) -> Scorer:
    return load(url_bundle)
