"""Students: small models that learn from a dataset and run everywhere.

They stand between `training`, which decides what they learn, and `bundle`, which holds what they
export. Every family is one class, found by name:

- ``ngram``: hashed byte n-grams, the default; microseconds an event, the same bits everywhere.
- ``trees``: boosted trees, for tasks whose events are rows of features.
- ``bytecnn``: a network over bytes, in `buckler.students.torch`; it needs torch.

`buckler.testing.check_student` holds the rules that each keeps. docs/students.md compares them.

Examples
--------
Learn, judge and export::

    student = get_student("ngram", {"table_bits": 16, "epochs": 5})
    student.fit(training, validation)
    logits = student.predict_logits(test.texts)
    export = student.export()
"""

from buckler.students.student import STUDENTS, Export, Student, get_student

__all__ = ["STUDENTS", "Export", "Student", "get_student"]
