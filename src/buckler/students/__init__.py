"""Small models that do the work."""

from buckler.students.student import Examples, Exported, Student, get_student, student

__all__ = ["Examples", "Exported", "Student", "get_student", "student"]
