"""What comes in: readers, the event schema, duplicates, groups and splits."""

from buckler.events.collect import Events, collect_events
from buckler.events.quarantine import Quarantine
from buckler.events.reading import Chunk, Reader, Wanted, find_inputs, get_reader, reader

__all__ = [
    "Chunk",
    "Events",
    "Quarantine",
    "Reader",
    "Wanted",
    "collect_events",
    "find_inputs",
    "get_reader",
    "reader",
]
