"""Small models that do the work."""

from buckler.students.student import Exported, Student, get_student, student

__all__ = ["Exported", "Student", "get_student", "student"]
