"""Streams: pipes, folders and Kafka topics; every event gets its answer."""
