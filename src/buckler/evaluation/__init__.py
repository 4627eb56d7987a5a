"""Evaluation: honest figures of a model at low false-positive rates, source by source.

Evaluation stands between students and bundles in the data flow. It takes probabilities and labels,
and knows neither recipes nor the terminal.

- `evaluation.evaluate_predictions` computes every figure with its interval, also by
  source, month or column: `Evaluation`.
- `metrics` holds plain metrics and thresholds, `intervals` their 95 % intervals (bootstrap, Wilson,
  Student's t).
- `calibration` fits on held-out rows what a bundle carries: slope and shift, a curve, and the least
  probabilities of prediction sets.
- `robustness` compares figures under attack, `agreement` compares annotators.
- `report` renders the HTML page and the JSON document, with the plots of `plots`.

>>> import numpy as np
>>> from buckler.evaluation.evaluation import Predictions, evaluate_predictions
>>> p = np.array([[0.9, 0.1], [0.2, 0.8], [0.7, 0.3]], np.float32)
>>> rows = Predictions(p, np.array([0, 1, 0], np.int32), np.arange(3), ("benign", "phishing"), (1,))
>>> evaluate_predictions(rows).figures["accuracy"].value
1.0
"""
