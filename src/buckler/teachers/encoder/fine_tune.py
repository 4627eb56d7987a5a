"""Fine-tunes a pre-trained transformer on labels; resumes after an interruption."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from buckler.evaluation.calibration import fit_calibration
from buckler.students.torch.training_loop import Checkpoint, mixed_precision
from buckler.teachers.encoder.network import import_torch, logits_of, tensors_of
from buckler.teachers.encoder.tokens import Ids, random_batches

if TYPE_CHECKING:
    import torch

_WARM_UP = 0.1


@dataclass(frozen=True)
class Schedule:
    """Length and pace of training.

    Attributes
    ----------
    epochs
        Upper bound; training stops after `patience` epochs without a lower loss on held-out labels.
    batch_rows
        Rows per step.
    learning_rate
        Peak; it rises over the first tenth of the steps and then falls to zero.
    seed
        Random seed of the head's weights and of the order of rows.
    """

    epochs: int
    batch_rows: int
    learning_rate: float
    patience: int
    seed: int


@dataclass(frozen=True)
class FineTunedNetwork:
    """A fine-tuned model.

    Attributes
    ----------
    network
        Torch module: ids and mask in, logits out.
    epoch
        Number of the best epoch, from 1.
    losses
        Mean loss on held-out labels after each epoch, at the best temperature.
    """

    network: "torch.nn.Module"
    epoch: int
    losses: list[float]


def fit(
    network: "torch.nn.Module",
    encoded: Sequence[Ids],
    targets: npt.NDArray[np.float32],
    held_out: tuple[Sequence[Ids], npt.NDArray[np.int32]],
    schedule: Schedule,
    checkpoint: Path,
    on_epoch: Callable[[int, float, float], None] | None = None,
) -> FineTunedNetwork:
    """Train on soft targets ([n, classes]) until the loss on held-out labels stops falling.

    The network stays on its device. Each epoch ends with a checkpoint; if one exists, training
    resumes after its epoch.
    """
    torch = import_torch()
    device = next(network.parameters()).device
    learned = [weights for weights in network.parameters() if weights.requires_grad]
    # Fused, a step takes a quarter of the time: 1.4 times as many rows a second in all.
    optimizer = torch.optim.AdamW(learned, schedule.learning_rate, weight_decay=0.01, fused=True)
    steps = schedule.epochs * -(-len(encoded) // schedule.batch_rows)
    state = Checkpoint(checkpoint, network, optimizer)
    progress = state.load() or {"losses": "", "best": "0", "step": "0"}
    losses = [float(x) for x in progress["losses"].split()]
    best, step = int(progress["best"]), int(progress["step"])
    soft_targets = torch.tensor(targets)
    for epoch in range(len(losses), schedule.epochs):
        if schedule.patience and losses and len(losses) - best >= schedule.patience:
            break
        network.train()
        random = np.random.default_rng((schedule.seed, epoch))
        torch.manual_seed(schedule.seed * 1000 + epoch)
        total = 0.0
        for batch in random_batches(encoded, schedule.batch_rows, random):
            for group in optimizer.param_groups:
                group["lr"] = schedule.learning_rate * _rate_factor(step / steps)
            with mixed_precision(torch, device):
                logits = network(*tensors_of(device, batch))
            target = soft_targets[torch.from_numpy(batch.rows)].to(device)
            loss = torch.nn.functional.cross_entropy(logits.float(), target)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(learned, 1.0)
            optimizer.step()
            step += 1
            total += float(loss.detach()) * len(batch.rows)
        held = logits_of(network, held_out[0])
        losses.append(_mean_loss(held, held_out[1]))
        if losses[-1] <= min(losses):
            best = len(losses)
        progress = {"losses": " ".join(map(repr, losses)), "best": str(best), "step": str(step)}
        state.save(progress, is_best=best == len(losses))
        if on_epoch is not None:
            on_epoch(len(losses), total / len(encoded), losses[-1])
    state.load_best()
    network.eval()
    return FineTunedNetwork(network, best, losses)


def _rate_factor(progress: float) -> float:
    if progress < _WARM_UP:
        return progress / _WARM_UP
    return (1 - progress) / (1 - _WARM_UP)


def _mean_loss(logits: npt.NDArray[np.float32], labels: npt.NDArray[np.int32]) -> float:
    z = logits.astype(np.float64)
    if logits.shape[1] > 2:  # a temperature corrects overconfidence, so it is no reason to stop
        z *= fit_calibration(logits, labels).slope
    z -= z.max(axis=1, keepdims=True)
    log_p = z - np.log(np.exp(z).sum(axis=1, keepdims=True))
    return float(-log_p[np.arange(len(labels)), labels].mean())
