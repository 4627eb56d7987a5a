"""Speed of the client of a language model, against a server on loopback that answers at once."""

import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.measure import table, use_all_cores
from benchmarks.models import events
from buckler.labels import LabelStore
from buckler.tasks import get_task
from buckler.teachers.labeling import label
from buckler.teachers.llm.chat import ChatSettings, ChatTeacher
from tests.support.chat_server import chat_server

IN_FLIGHT = 64
ROWS = 6000


def run(data: Path) -> None:
    use_all_cores()
    task = get_task("url-threat")
    test = events(data, "url-threat", "threat-test")
    test = test.take(np.random.default_rng(0).permutation(len(test))[:ROWS])
    rows = []
    for each in (1, 4, 16):
        for answers in ("logprobs", "samples"):
            with tempfile.TemporaryDirectory() as name:
                folder = Path(name)
                with chat_server(folder) as server, LabelStore(folder / "labels.db") as store:
                    settings = ChatSettings(
                        model="m",
                        base_url=f"{server.url}/v1",
                        concurrency=IN_FLIGHT,
                        events_per_call=each,
                        probabilities=answers,
                        samples=3,
                    )
                    started, cpu = time.perf_counter(), time.process_time()
                    result = label(test, ChatTeacher(task, settings), store)
                    seconds = time.perf_counter() - started
                    cpu = time.process_time() - cpu
                    rows.append(
                        (
                            str(each),
                            answers if answers == "logprobs" else "3 samples in one call",
                            f"{result.new / seconds:,.0f}",
                            f"{result.account.calls / seconds:,.0f}",
                            f"{1000 * cpu / result.account.calls:.2f}",
                        )
                    )
    heading = f"chat, {IN_FLIGHT} in flight, 2 cores with the server; events a call"
    table((heading, "probabilities", "events/s", "calls/s", "client CPU, ms a call"), rows)
