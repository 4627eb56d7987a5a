"""Serving over HTTP: bundles behind an interface that survives whatever is sent to it."""
