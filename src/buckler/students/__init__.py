"""Small models that do the work."""

from buckler.students.student import STUDENTS, Examples, Exported, Student, get_student, student

__all__ = ["STUDENTS", "Examples", "Exported", "Student", "get_student", "student"]
