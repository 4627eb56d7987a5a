import os
import sys
from pathlib import Path

import numpy as np
import pytest

from buckler.dataset import Dataset
from buckler.runtime import load
from buckler.tasks import get_task
from buckler.training.cross_validation import StudentSpec
from buckler.training.fit import fit_student
from buckler.training.packaging import write_fitted
from tests.support.made_up import made_up_mail, made_up_table


@pytest.fixture(scope="session")
def mail_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small email bundle, trained on made-up mails."""
    words = ("the report is attached", "cheap watches", "verify your password")
    texts = [made_up_mail(number, each) for each in words for number in range(40)]
    labels = np.repeat(np.arange(3, dtype=np.int32), 40)
    events = Dataset.from_texts(texts, get_task("email")).with_labels(labels)
    path = tmp_path_factory.mktemp("bundle") / "mail.buckler"
    write_fitted(path, fit_student(events, StudentSpec("ngram", {"table_bits": 10}, folds=2)))
    return path


@pytest.fixture(scope="session")
def spark(tmp_path_factory):
    pyspark = pytest.importorskip("pyspark", reason="the extra 'spark' is not installed")
    from shutil import which

    if which("java") is None and not os.environ.get("JAVA_HOME"):
        pytest.skip("no Java: Spark cannot start")
    os.environ["PYSPARK_PYTHON"] = sys.executable
    folder = tmp_path_factory.mktemp("spark")
    session = (
        pyspark.sql.SparkSession.builder.master("local[2]")
        .config("spark.ui.enabled", "false")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.local.dir", str(folder))
        .config("spark.sql.warehouse.dir", str(folder / "warehouse"))
        .config("spark.sql.execution.arrow.pyspark.enabled", "true")
        .getOrCreate()
    )
    session.sparkContext.setLogLevel("ERROR")
    yield session
    session.stop()


@pytest.fixture(scope="session")
def good_urls():
    return made_up_table(10_000, np.random.default_rng(11))["url"].to_pylist()


@pytest.fixture(scope="session")
def good_scores(good_urls, url_bundle):
    return load(url_bundle).score(good_urls).scores.tolist()
