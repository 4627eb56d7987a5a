"""Annotations of events, the store that keeps them, and the training targets computed from them.

Annotators (people, language models, rules, feeds) give annotations: a probability for each class of
the task. The store never changes or deletes one, so targets can be recomputed at any time, and no
paid call is made twice::

    from buckler.labels import Annotator, LabelStore, import_labels
    from buckler.labels.merging import Merge, merge_annotations

    with LabelStore("labels.db") as store:
        import_labels(store, dataset, Annotator("openphish", "2025-06", "feed"))
        targets = merge_annotations(
            store.annotations(dataset.task), store.annotators(), Merge.MEAN
        )

`store` holds annotations and texts, `ledger` the cost and the results of calls, `merging` turns
annotations into targets, `inspection` answers questions about a store, and `exchange` imports and
exports. All tables live in one `database`, which the review application shares.
"""

from buckler.labels.annotation import (
    KINDS,
    Annotation,
    AnnotationColumns,
    Annotator,
)
from buckler.labels.answer_columns import AnswerColumns
from buckler.labels.exchange import export_annotations, import_labels
from buckler.labels.store import LabelStore, open_existing

__all__ = [
    "KINDS",
    "Annotation",
    "AnnotationColumns",
    "Annotator",
    "AnswerColumns",
    "LabelStore",
    "export_annotations",
    "import_labels",
    "open_existing",
]
