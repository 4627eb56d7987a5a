"""The study: the gain of each technique on public data, over several seeds, with intervals."""
