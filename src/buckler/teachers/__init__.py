"""Teachers: everything that annotates events, and the job that asks one.

A teacher reads events of a dataset and gives an annotation, the probability of every class, to each
event that it can judge. `label` asks a teacher about the events that it has not annotated before
and keeps the answers in the label store, where training finds them::

    from buckler.teachers import Budget, get_teacher, label

    teacher = get_teacher("chat", Path("chat.toml"), dataset.task)
    report = label(dataset, teacher, "labels.db", budget=Budget(usd=5))
    print(report.new, report.agreement)

`Teacher` is the seam, `label` the job, and `injection_test` measures how well a teacher withstands
text that addresses it. `rules`, `sigma`, `recorded` and `encoder` are teachers without a price.
`llm` holds those that ask a language model, with their prompt, limits and retries. A teacher that
spends money overrides `Teacher.label` and can come from outside this package.
"""

from buckler.teachers.budget import Account, Budget, Spending
from buckler.teachers.labeling import LabelReport, label, plan
from buckler.teachers.teacher import TEACHERS, Estimate, Job, Teacher, get_teacher, list_teachers

__all__ = [
    "TEACHERS",
    "Account",
    "Budget",
    "Estimate",
    "Job",
    "LabelReport",
    "Spending",
    "Teacher",
    "get_teacher",
    "label",
    "list_teachers",
    "plan",
]
