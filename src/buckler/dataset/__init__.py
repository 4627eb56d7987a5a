"""Datasets: events of one task with everything known about them, and how they are split.

A dataset stands between the readers and everything that learns or measures. `read_dataset` joins
the chunks of the readers; `deduplicate` leaves repetitions out; `split_by_group` and
`split_by_time` part training from test; `check_leaks` holds them apart. Label store, synthesis and
distillation return datasets with other labels, targets and weights.

Examples
--------
Read files, leave near-duplicates out, and split by group::

    events = read_dataset([Path("urls.csv")], get_task("url-threat"))
    events = deduplicate(events).events
    split = split_by_group(events, share=0.2, seed=0)
    training, test = events.take(split.left), events.take(split.right)
"""

from buckler.dataset.dataset import UNLABELED, Dataset
from buckler.dataset.event_table import event_id
from buckler.dataset.reading import ColumnNames, UnknownLabels, read_dataset

__all__ = ["UNLABELED", "ColumnNames", "Dataset", "UnknownLabels", "event_id", "read_dataset"]
