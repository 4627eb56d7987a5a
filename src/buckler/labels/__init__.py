"""Annotations: who said what of which event, kept for ever; and the targets computed from them."""

from buckler.labels.annotation import KINDS, Annotation, Annotator
from buckler.labels.store import LabelStore, open_existing

__all__ = ["KINDS", "Annotation", "Annotator", "LabelStore", "open_existing"]
