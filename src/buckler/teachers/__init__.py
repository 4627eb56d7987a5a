"""Who has annotations: teachers, and the run that asks them."""

from buckler.teachers.teacher import Teacher, get_teacher, teacher

__all__ = ["Teacher", "get_teacher", "teacher"]
