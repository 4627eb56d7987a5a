"""How good a model is, said honestly: at low false-positive rates, on data it has not seen."""
