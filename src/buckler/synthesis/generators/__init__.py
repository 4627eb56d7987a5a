"""Generators that come with Buckler, one module each; they need no language model.

- ``grammar`` expands the patterns of a template.
- ``mutation`` swaps parts between real texts of a class.
- ``crossover`` swaps features between real rows of a class.
"""
