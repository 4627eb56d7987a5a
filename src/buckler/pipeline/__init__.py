"""Recipes and the stages that run them; the only place that knows TOML recipes."""
