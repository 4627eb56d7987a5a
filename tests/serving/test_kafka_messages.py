"""Messages in columns: each has its answer, with its key and source, in the order it came in."""

import json
from types import SimpleNamespace

import pytest

pytest.importorskip("confluent_kafka", reason="the extra 'kafka' is not installed")

from buckler.serving.bundles import load_bundle
from buckler.serving.stream.kafka_messages import Counts, IncomingMessages, score_messages
from buckler.serving.stream.kafka_settings import KafkaSettings


def settings(**chosen):
    return KafkaSettings(brokers="x", topic="in", **chosen)


def message(number, value):
    fields = {"topic": "in", "partition": number % 3, "offset": 10 + number, "value": value}
    fields["key"] = b"key %d" % number if number % 2 else None
    return SimpleNamespace(**{name: lambda held=held: held for name, held in fields.items()})


def incoming(values):
    return IncomingMessages.from_messages([message(n, value) for n, value in enumerate(values)])


def test_what_is_committed_lies_behind_the_last_of_each_partition():
    found = incoming([b"{}"] * 8)
    assert found.ends == {("in", 0): 17, ("in", 1): 18, ("in", 2): 16}
    assert found.sources[:2] == ["in/0/10", "in/1/11"]


def test_every_message_is_answered_or_a_dead_letter(url_scorer, good_urls):
    values = [json.dumps({"url": url}).encode() for url in good_urls[:60]]
    values[5], values[40], values[41] = b"{broken", None, b'{\n "url": "http://a.example/"\n}'
    messages = incoming(values)
    found = score_messages(messages, load_bundle(url_scorer), settings(), Counts())
    answers, dead = found.outgoing
    assert (answers.topic, answers.header) == ("in.verdicts", "bundle")
    assert set(answers.header_values) == {url_scorer.sha256.encode()}
    rows = [row for row in range(60) if row not in (5, 40)]
    assert [json.loads(value)["source"] for value in answers.values] == answers.sources
    assert answers.sources == [messages.sources[row] for row in rows]
    assert answers.keys == [messages.keys[row] for row in rows]
    texts = [*good_urls[:41], "http://a.example/", *good_urls[42:60]]
    expected = url_scorer.score([texts[row] for row in rows]).scores.tolist()
    assert [json.loads(value)["score"] for value in answers.values] == expected
    assert (dead.topic, dead.header) == ("in.dead", "reason")
    assert dead.values == [b"{broken", None]
    assert dead.header_values == [b"no JSON", b"no JSON"]
    assert (dead.keys, dead.sources) == ([b"key 5", None], ["in/2/15", "in/1/50"])
    counts = found.counts
    assert (counts.events, counts.dead, counts.detections) == (60, 2, found.verdicts.detections)


def test_detections_alone_and_the_least_certain(url_scorer, good_urls):
    values = [url.encode() for url in good_urls[:200]]
    values[3] = b"\xff"
    scores = dict(enumerate(url_scorer.score(good_urls[:200]).scores.tolist()))
    del scores[3]
    asked = settings(
        values="text", only_detections=True, uncertain_topic="u", uncertain=(0.0, 1.0),
        uncertain_share=0.02,
    )  # fmt: skip
    messages = incoming(values)
    found = score_messages(
        messages, load_bundle(url_scorer), asked, Counts(events=100, uncertain=1)
    )
    answers, dead, uncertain = found.outgoing
    detected = [row for row, score in scores.items() if score >= url_scorer.threshold]
    assert 0 < len(detected) < 190
    assert answers.sources == [messages.sources[row] for row in detected]
    assert dead.sources == [messages.sources[3]]
    inside = list(scores)
    least = sorted(sorted(inside, key=lambda row: (abs(scores[row] - 0.5), row))[:5])
    assert uncertain.sources == [messages.sources[row] for row in least]
    assert uncertain.values == [values[row] for row in least]
    assert uncertain.header_values == [f"{scores[row]:.6f}".encode() for row in least]
    assert found.counts.uncertain == len(least) > 0
