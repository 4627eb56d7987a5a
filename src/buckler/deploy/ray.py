"""Ray Data: verdicts for a dataset of any size, wherever its blocks lie."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from buckler.deploy.tables import TableJudge

if TYPE_CHECKING:
    from ray.data import Dataset


def score(
    dataset: "Dataset",
    bundle: str | Path,
    column: str | None = None,
    *,
    batch_size: int | None = 65_536,
    ray_options: dict[str, Any] | None = None,
    **options: Any,
) -> "Dataset":
    """Return a dataset with verdicts behind its columns.

    The bundle's content travels with the task and is loaded once in each worker process.

    Parameters
    ----------
    bundle
        The file, on this machine.
    column
        Name of the text column; by default the usual names of the bundle's task.
    batch_size
        Rows at once; None takes blocks as they are.
    ray_options
        Passed on to `map_batches`, such as ``num_cpus`` or ``concurrency``.
    options
        Of `TableJudge`: target_fpr, probabilities, prefix, trusted_key.

    Raises
    ------
    BucklerError
        If the bundle cannot be used.
    """
    judge = TableJudge(bundle, column, **options)
    return dataset.map_batches(
        judge.__call__, batch_format="pyarrow", batch_size=batch_size, **(ray_options or {})
    )
