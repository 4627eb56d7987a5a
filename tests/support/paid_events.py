"""Events that a test server answers in a known way, and checks of the stored annotations."""

import pyarrow as pa
import pyarrow.parquet as pq

from buckler.dataset import read_dataset
from buckler.tasks import get_task
from tests.support.chat_server import DETECTION

TASK = get_task("url-threat")


def url(number):
    return f"http://{'login' if number % 3 == 0 else 'news'}-{number}.example/a/{number}"


def events_of(tmp_path, *texts, labels=None):
    columns = {"url": list(texts)} | ({"label": labels} if labels else {})
    path = tmp_path / f"events-{len(texts)}.parquet"
    pq.write_table(pa.table(columns), path)
    return read_dataset([path], TASK)


def many(tmp_path, n):
    labels = ["phishing" if DETECTION.search(url(i)) else "benign" for i in range(n)]
    return events_of(tmp_path, *(url(i) for i in range(n)), labels=labels)


def verdicts(store, who):
    """Text -> (class, probability of phishing), of this annotator."""
    found = {}
    annotators = store.annotators()
    for batch in store.annotations(TASK):
        texts = store.texts(batch.event_ids)
        for row, event_id in enumerate(batch.event_ids):
            if annotators[int(batch.annotators[row])] == who.annotator:
                p = batch.probabilities[row]
                found[texts[event_id].decode()] = (int(p.argmax()), float(p[1]))
    return found


def check(store, who, n):
    """Every event has one annotation, and it is the right one."""
    found = verdicts(store, who)
    assert set(found) == {url(i) for i in range(n)}
    for i in range(n):
        assert found[url(i)][0] == bool(DETECTION.search(url(i))), url(i)
