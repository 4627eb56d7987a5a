"""Datasets: events of one task with everything known about them, their groups, splits and leaks."""
