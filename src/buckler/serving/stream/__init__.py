"""Streams: Kafka topics, pipes and folders; every event in, one answer out."""
