"""Fine-tunes a pre-trained transformer on the few labels; goes on where it was stopped."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from buckler.errors import InputError, MissingExtraError
from buckler.evaluation.calibration import fit_calibration
from buckler.students.torch import training_loop
from buckler.students.torch.training_loop import Checkpoint, mixed_precision
from buckler.teachers.encoding.tokens import Batch, Ids, bucketed, shuffled

_INFERENCE_TOKENS = 8192
_WARM_UP = 0.1


@dataclass(frozen=True)
class Plan:
    """How to train.

    Attributes
    ----------
    epochs
        At most; training stops after `patience` epochs without a lower loss on held-out labels.
    batch_rows
        Rows a step.
    learning_rate
        The highest; it rises over the first tenth of the steps and then falls to zero.
    seed
        Of the head's weights and the order of rows.
    """

    epochs: int
    batch_rows: int
    learning_rate: float
    patience: int
    seed: int


@dataclass(frozen=True)
class Fitted:
    """A fine-tuned model.

    Attributes
    ----------
    network
        A torch module: ids and mask in, logits out.
    epoch
        The best one, from 1.
    losses
        Mean loss on held-out labels after each epoch, at the best temperature.
    """

    network: Any
    epoch: int
    losses: list[float]


def load_network(folder: Path, n_classes: int, seed: int) -> Any:
    """Return a torch module: the encoder of this folder, mean pooling, and a linear head.

    Raises
    ------
    InputError
        If the folder holds no model in safetensors.
    """
    torch = import_torch()
    try:
        from transformers import AutoModel
    except ImportError:
        raise MissingExtraError("the teacher 'encoder'", "torch,onnx") from None

    class Network(torch.nn.Module):  # type: ignore[name-defined,misc]
        def __init__(self) -> None:
            super().__init__()
            self.encoder = _pretrained(AutoModel, folder)
            width = self.encoder.config.hidden_size
            generator = torch.Generator().manual_seed(seed)
            self.head = torch.nn.Linear(width, n_classes)
            with torch.no_grad():
                self.head.weight.normal_(0, 0.02, generator=generator)
                self.head.bias.zero_()

        def forward(self, ids: Any, mask: Any) -> Any:
            hidden = self.encoder(input_ids=ids, attention_mask=mask).last_hidden_state
            kept = mask.unsqueeze(-1).to(hidden.dtype)
            pooled = (hidden * kept).sum(1) / kept.sum(1)
            return self.head(pooled)

    return Network()


def _pretrained(auto: Any, folder: Path) -> Any:
    """Load without the hub, without code from the folder, and without pickle."""
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    try:
        from transformers.utils import logging

        logging.set_verbosity_error()
        logging.disable_progress_bar()
        return auto.from_pretrained(
            folder,
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=True,
            attn_implementation="sdpa",
        )
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"{folder}: no encoder that can be loaded ({str(error)[:120]})") from error


def fit(
    network: Any,
    encoded: Sequence[Ids],
    targets: npt.NDArray[np.float32],
    held_out: tuple[Sequence[Ids], npt.NDArray[np.int32]],
    plan: Plan,
    checkpoint: Path,
    on_epoch: Callable[[int, float, float], None] | None = None,
) -> Fitted:
    """Train on soft targets ([n, classes]) until held-out labels are no longer judged better.

    After each epoch all state is written to `checkpoint`; if that is there, training goes on
    behind its epoch.
    """
    torch = import_torch()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    network.to(device)
    # Fused, a step takes a quarter of the time: 1.4 times as many rows a second in all.
    optimizer = torch.optim.AdamW(
        network.parameters(), plan.learning_rate, weight_decay=0.01, fused=True
    )
    steps = plan.epochs * -(-len(encoded) // plan.batch_rows)
    state = Checkpoint(checkpoint, network, optimizer)
    said = state.load() or {"losses": "", "best": "0", "step": "0"}
    losses = [float(x) for x in said["losses"].split()]
    best, step = int(said["best"]), int(said["step"])
    wanted = torch.from_numpy(targets)
    for epoch in range(len(losses), plan.epochs):
        if plan.patience and losses and len(losses) - best >= plan.patience:
            break
        network.train()
        random = np.random.default_rng((plan.seed, epoch))
        torch.manual_seed(plan.seed * 1000 + epoch)
        total = 0.0
        for batch in shuffled(encoded, plan.batch_rows, random):
            for group in optimizer.param_groups:
                group["lr"] = plan.learning_rate * _schedule(step / steps)
            with mixed_precision(torch, device):
                logits = network(*_on(torch, device, batch))
            target = wanted[torch.from_numpy(batch.rows)].to(device)
            loss = torch.nn.functional.cross_entropy(logits.float(), target)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            step += 1
            total += float(loss.detach()) * len(batch.rows)
        held = logits_of(network, held_out[0])
        losses.append(_mean_loss(held, held_out[1]))
        if losses[-1] <= min(losses):
            best = len(losses)
        said = {"losses": " ".join(map(repr, losses)), "best": str(best), "step": str(step)}
        state.save(said, is_best=best == len(losses))
        if on_epoch is not None:
            on_epoch(len(losses), total / len(encoded), losses[-1])
    state.load_best()
    network.eval()
    return Fitted(network, best, losses)


def logits_of(network: Any, encoded: Sequence[Ids]) -> npt.NDArray[np.float32]:
    """Return float32 [n, classes] from the torch module itself."""
    torch = import_torch()
    device = next(network.parameters()).device
    network.eval()
    found = None
    with torch.inference_mode(), mixed_precision(torch, device):
        for batch in bucketed(encoded, _INFERENCE_TOKENS):
            logits = network(*_on(torch, device, batch)).float().cpu().numpy()
            if found is None:
                found = np.empty((len(encoded), logits.shape[1]), np.float32)
            found[batch.rows] = logits
    return found if found is not None else np.empty((0, 0), np.float32)


def _on(torch: Any, device: Any, batch: Batch) -> tuple[Any, Any]:
    return torch.from_numpy(batch.ids).to(device), torch.from_numpy(batch.mask).to(device)


def _schedule(progress: float) -> float:
    if progress < _WARM_UP:
        return progress / _WARM_UP
    return (1 - progress) / (1 - _WARM_UP)


def _mean_loss(logits: npt.NDArray[np.float32], labels: npt.NDArray[np.int32]) -> float:
    z = logits.astype(np.float64)
    if logits.shape[1] > 2:  # what a temperature can mend is no reason to stop
        z *= fit_calibration(logits, labels).slope
    z -= z.max(axis=1, keepdims=True)
    log_p = z - np.log(np.exp(z).sum(axis=1, keepdims=True))
    return float(-log_p[np.arange(len(labels)), labels].mean())


def import_torch() -> Any:
    """Return torch, or say what is missing."""
    return training_loop.import_torch("the teacher 'encoder'")
