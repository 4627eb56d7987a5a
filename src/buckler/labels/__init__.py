"""Opinions: who said what of which event, kept for ever; and the targets computed from them."""

from buckler.labels.opinion import KINDS, Labeler, Opinion
from buckler.labels.store import LabelStore, open_existing

__all__ = ["KINDS", "LabelStore", "Labeler", "Opinion", "open_existing"]
