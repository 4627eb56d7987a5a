"""From labeled events to a calibrated student: the algorithms of training.

Everything here takes data and numbers; `pipeline` reads recipes and calls it. A `StudentSpec` names
the student, a `Dataset` carries labels, targets and weights.

- `fit`: trains, calibrates and chooses thresholds; `packaging` puts the student into a bundle.
- `cross_validation`: out-of-fold answers, on which calibration and thresholds rest.
- `targets`, `distillation`: labels and targets from annotations.
- `augmentation`, `synthesis_trial`: attacked copies, and the trial of synthetic examples.
- `noise`, `noise_estimate`, `selection`: wrong labels, and the events to ask about.
- `adaptation`: a student fitted to a stream of one's own, with its weights as the prior.
- `auxiliary`, `cascade`: further questions, and several bundles as one.
- `promotion`: compares a candidate with the deployed bundle.

Examples
--------
::

    events = read_dataset([Path("urls.csv")], get_task("url-threat"))
    fitted = fit_student(events, StudentSpec("ngram", {"table_bits": 16}))
    write_fitted(Path("url.buckler"), fitted, operating_point=OperatingPoint(fpr=0.01))
"""
