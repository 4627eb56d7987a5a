"""The analysts' web application: what they judge, in which order, and what their verdicts say."""
