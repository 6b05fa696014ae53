"""Graders: what an answer is worth, 0..1, or that no final answer could be read in it."""

from r2_router.lab.grading.grade import Ask, Grade, Grader
from r2_router.lab.grading.make import make_grader

__all__ = ["Ask", "Grade", "Grader", "make_grader"]
