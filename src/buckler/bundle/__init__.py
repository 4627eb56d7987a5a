"""The artifact: one file that holds a trained student and all that is known about it."""
