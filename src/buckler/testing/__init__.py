"""Contracts of the seams: one check for each kind of plug-in, for our own and for third parties'.

A check raises `ContractError`, which names the broken rule, or returns None. It needs no test
framework: call it from a test of your own. tests/test_contracts.py runs the checks on everything
that is registered, and examples/plugins/ has a plug-in of each kind.

- `check_task`: classes, labels and normalized text; hostile events.
- `check_reader`: same rows at every reading, resuming at every cursor; hostile files.
- `check_teacher`: one annotation or None for each event, whatever their order.
- `check_student`: soft targets and weights, seeds, and the same bits from the runtime.
- `check_sink`: rows up to a checkpoint survive, later ones are dropped.

Examples
--------
>>> from buckler.tasks import get_task
>>> check_task(get_task("url-threat"))
"""

from buckler.testing.contract import HOSTILE_TEXTS, ContractError
from buckler.testing.reader_contract import check_reader
from buckler.testing.sink_contract import check_sink
from buckler.testing.student_contract import check_student
from buckler.testing.task_contract import check_task
from buckler.testing.teacher_contract import check_teacher

__all__ = [
    "HOSTILE_TEXTS",
    "ContractError",
    "check_reader",
    "check_sink",
    "check_student",
    "check_task",
    "check_teacher",
]
