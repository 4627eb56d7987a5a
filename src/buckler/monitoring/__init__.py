"""Is a bundle still as good as it was? Drift of scores and events, decay over time, and detections."""
