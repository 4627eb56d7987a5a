"""Synthetic examples: a plan of what is rare or unseen, generators that write it, gates that it passes."""
