"""Training in torch and export to ONNX, for `bytecnn` and networks of plug-ins.

A family is a network, bytes in and logits out; the rest is here. Training goes through batches of
texts of like length. It hides some bytes, so that no model relies on one of them and hiding one
explains it. The learning rate rises and falls, and training resumes from a checkpoint.
"""

from abc import abstractmethod
from collections.abc import Callable, Iterator
from copy import copy
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from buckler.dataset import Dataset
from buckler.errors import SettingsError
from buckler.normalize import NormalizedTexts
from buckler.normalize.padding import MASK, pad, padded_batches, padded_lengths
from buckler.students.student import (
    Export,
    Floats,
    Student,
    check_learnable,
    cross_entropy,
    weigh_classes,
)
from buckler.students.torch import training_loop
from buckler.students.torch.onnx_export import Network, Precision, export_network

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Module
    from torch.optim import Optimizer

LENGTH_STEP = 16
_WARM_UP = 0.05
_POOLED_BATCHES = 64
_INFERENCE_BYTES = 1 << 16
_SAMPLE_ROWS = 8192


@dataclass(kw_only=True, eq=False)
class NeuralStudent(Student):
    """A network over bytes.

    Parameters
    ----------
    max_length
        Number of bytes of the normalized text that it reads; a multiple of 16.
    epochs, patience
        Largest number of passes, and of passes without a lower loss on the validation events.
    batch_rows, learning_rate, weight_decay
        Settings of AdamW (Loshchilov and Hutter 2019); the rate rises for a twentieth of the steps,
        then falls to zero.
    dropout
        Share of the pooled features left out of each example.
    mask_rate
        Share of the bytes that are hidden from each example.
    class_weights
        ``none``, or ``balanced``: rare classes count more, as if all were as frequent.
    precision
        ``auto``: int8 where that costs less than 0.3 point, else float16 weights, else float32; or
        one of these. The cost is measured on validation examples where there are any; else, as for
        the student that goes into a bundle, on a sample of what it learned from.
    threads
        Number of threads; 0 for all cores.
    device
        ``auto``, ``cpu`` or ``cuda``.
    """

    max_length: int = 256
    epochs: int = 5
    patience: int = 2
    batch_rows: int = 256
    learning_rate: float = 2e-3
    weight_decay: float = 0.05
    dropout: float = 0.2
    mask_rate: float = 0.05
    class_weights: str = "none"
    precision: str = "auto"
    threads: int = 0
    device: str = "auto"
    network_: "Module" = field(init=False, repr=False)
    exported_: Network | None = field(default=None, init=False, repr=False)
    sample_: tuple[list[npt.NDArray[np.uint8]], Floats] = field(init=False, repr=False)
    n_outputs_: int = field(init=False, repr=False)

    @abstractmethod
    def build(self, torch: ModuleType, n_outputs: int) -> "Module":
        """Return an untrained torch module: uint8 [n, length] to float32 [n, outputs]."""

    # --- learning -----------------------------------------------------------------------------

    def fit(
        self,
        training: Dataset,
        validation: Dataset | None = None,
        on_epoch: Callable[[int, float, float], None] | None = None,
    ) -> "NeuralStudent":
        """Learn, and keep the weights of the best pass; without validation that is the last pass.

        With `checkpoints` set to a folder, state is kept there after each pass under the digest of
        examples and settings, and training resumes from it.

        Raises
        ------
        SettingsError
            If a setting is out of range, or there is nothing to learn from.
        MissingExtraError
            If torch is not installed.
        """
        self._check(training, validation)
        torch = training_loop.import_torch(f"the student {self.family!r}")
        n_classes = training.targets.shape[1]
        self.n_outputs_ = 1 if n_classes == 2 else n_classes
        torch.manual_seed(self.seed)
        if self.threads:
            torch.set_num_threads(self.threads)
        device = training_loop.find_device(self.device)
        network = self.build(torch, self.n_outputs_).to(device)
        optimizer = torch.optim.AdamW(
            network.parameters(), self.learning_rate, weight_decay=self.weight_decay, fused=True
        )
        weights = weigh_classes(training, self.class_weights)
        best_loss, self.best_epoch_, epoch = np.inf, 0, 0
        best_state = None
        checkpoint = None
        if self.checkpoints is not None:
            folder = Path(self.checkpoints)
            folder.mkdir(parents=True, exist_ok=True)
            path = folder / f"{self._digest(training, validation)}.safetensors"
            checkpoint = training_loop.Checkpoint(path, network, optimizer)
            said = checkpoint.load()
            if said is not None:
                epoch, self.best_epoch_ = int(said["epoch"]), int(said["best"])
                best_loss = float(said["loss"])
        while epoch < self.epochs and epoch - self.best_epoch_ < self.patience + (epoch == 0):
            epoch += 1
            loss = self._pass(torch, network, optimizer, training, weights, epoch)
            held_out = np.nan
            if validation is not None:
                logits = self._network_logits(torch, network, validation.texts)
                held_out = cross_entropy(logits, validation.targets, validation.weights)
            if on_epoch is not None:
                on_epoch(epoch, loss, held_out)
            if validation is None or held_out < best_loss - 1e-5:
                best_loss, self.best_epoch_ = held_out, epoch
                best_state = _copy_weights(network)
            if checkpoint is not None:
                said = {"epoch": str(epoch), "best": str(self.best_epoch_), "loss": repr(best_loss)}
                checkpoint.save(said, is_best=self.best_epoch_ == epoch)
        if best_state is not None:
            network.load_state_dict(best_state)
        elif checkpoint is not None:
            checkpoint.load_best()
        self.network_ = network.float().eval()
        self._export(torch, training, validation)
        return self

    def predict_logits(self, texts: NormalizedTexts) -> Floats:
        """Return logits of the network as it is exported, or on a GPU, of the network itself."""
        exported = self._require_exported()
        if next(self.network_.parameters()).device.type != "cpu":
            torch = training_loop.import_torch(f"the student {self.family!r}")
            logits = self._network_logits(torch, self.network_, texts)
            return np.asarray(exported.slope * logits + exported.shift, np.float32)
        out = np.empty((len(texts), self.n_outputs_), np.float32)
        for rows, padded in self._batches(texts):
            out[rows] = exported.logits(padded)
        return out

    def rescale(self, slope: float, shift: float | Floats) -> None:
        """Fold a calibration into the last two nodes of the network."""
        self.exported_ = self._require_exported().rescale(slope, shift)

    def export(self) -> Export:
        """Return the ONNX file and what its scorer needs."""
        exported = self._require_exported()
        return Export(
            "onnx",
            {
                "max_length": self.max_length,
                "length_step": LENGTH_STEP,
                "n_outputs": self.n_outputs_,
                "precision": exported.precision.value,
                "points_lost": round(exported.points_lost, 3),
            },
            onnx=exported.model,
            tolerance=exported.tolerance,
            n_network_parameters=sum(p.numel() for p in self.network_.parameters()),
        )

    def with_precision(self, precision: str) -> "NeuralStudent":
        """Return the same student, calibrated alike, in another precision."""
        exported, other = self._require_exported(), copy(self)
        torch = training_loop.import_torch(f"the student {self.family!r}")
        other.exported_ = export_network(torch, self.network_, *self.sample_, precision).rescale(
            exported.slope, exported.shift
        )
        return other

    # --- parts --------------------------------------------------------------------------------

    def _require_exported(self) -> Network:
        if self.exported_ is None:
            raise SettingsError("the student has learned nothing yet")
        return self.exported_

    def _check(self, training: Dataset, validation: Dataset | None) -> None:
        check_learnable(training, validation)
        if self.max_length % LENGTH_STEP or not LENGTH_STEP <= self.max_length <= 1 << 14:
            raise SettingsError("max_length must be a multiple of 16 up to 16384")
        if self.epochs < 1 or self.patience < 1 or self.batch_rows < 1:
            raise SettingsError("epochs, patience and batch_rows must be at least 1")
        if self.precision not in ("auto", *(p.value for p in Precision)):
            raise SettingsError("precision must be auto, int8, float16 or float32")
        if not 0 <= self.dropout < 1 or not 0 <= self.mask_rate < 1:
            raise SettingsError("dropout and mask_rate must be 0 to below 1")

    def _digest(self, *sides: Dataset | None) -> str:
        """Name a training by all that decides it."""
        said = {k: v for k, v in vars(self).items() if not k.endswith("_") and k != "checkpoints"}
        digest = blake2b(repr(sorted(said.items())).encode(), digest_size=16)
        for examples in (side for side in sides if side is not None):
            texts = examples.texts
            for array in (texts.offsets, texts.data, examples.targets, examples.weights):
                digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()

    def _pass(
        self,
        torch: ModuleType,
        network: "Module",
        optimizer: "Optimizer",
        training: Dataset,
        weights: Floats,
        epoch: int,
    ) -> float:
        device = next(network.parameters()).device
        rng = np.random.default_rng((self.seed, epoch))
        torch.manual_seed(self.seed * 1000 + epoch)
        steps = self.epochs * -(-len(training) // self.batch_rows)
        step = (epoch - 1) * -(-len(training) // self.batch_rows)
        network.train()
        total = mass = 0.0
        for rows, padded in self.shuffle(training.texts, rng):
            if self.mask_rate:
                hidden = (rng.random(padded.shape, np.float32) < self.mask_rate) & (padded != 0)
                padded[hidden] = MASK
            for group in optimizer.param_groups:
                group["lr"] = self.learning_rate * _schedule(min(1.0, step / steps))
            with training_loop.mixed_precision(torch, device):
                logits = network(torch.from_numpy(padded).to(device)).float()
            target = torch.from_numpy(training.targets[rows]).to(device)
            weight = torch.from_numpy(weights[rows]).to(device)
            if self.n_outputs_ == 1:
                losses = torch.nn.functional.binary_cross_entropy_with_logits(
                    logits[:, 0], target[:, 1], reduction="none"
                )
            else:
                losses = torch.nn.functional.cross_entropy(logits, target, reduction="none")
            loss = (losses * weight).mean()
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            step += 1
            total += float((losses.detach() * weight).sum())
            mass += float(weights[rows].sum())
        return total / max(mass, 1e-12)

    def shuffle(
        self, texts: NormalizedTexts, rng: np.random.Generator
    ) -> Iterator[tuple[npt.NDArray[np.intp], npt.NDArray[np.uint8]]]:
        """Yield rows and bytes in random batches, each of texts of like length."""
        texts = texts.without_features()
        lengths = padded_lengths(texts, self.max_length, LENGTH_STEP)
        order = rng.permutation(len(texts))
        batches = []
        for start in range(0, len(order), self.batch_rows * _POOLED_BATCHES):
            pool = order[start : start + self.batch_rows * _POOLED_BATCHES]
            pool = pool[np.argsort(lengths[pool], kind="stable")]
            batches += [pool[i : i + self.batch_rows] for i in range(0, len(pool), self.batch_rows)]
        for index in rng.permutation(len(batches)):
            rows = batches[index]
            yield rows, pad(texts, rows, int(lengths[rows].max()))

    def _batches(
        self, texts: NormalizedTexts
    ) -> Iterator[tuple[npt.NDArray[np.intp], npt.NDArray[np.uint8]]]:
        return padded_batches(texts, self.max_length, LENGTH_STEP, _INFERENCE_BYTES)

    def _network_logits(
        self, torch: ModuleType, network: "Module", texts: NormalizedTexts
    ) -> Floats:
        device = next(network.parameters()).device
        network.eval()
        out = np.empty((len(texts), self.n_outputs_), np.float32)
        with torch.inference_mode():
            for rows, padded in self._batches(texts):
                out[rows] = network(torch.from_numpy(padded).to(device)).float().cpu().numpy()
        return out

    def _export(self, torch: ModuleType, training: Dataset, validation: Dataset | None) -> None:
        """Choose the smallest precision that is good enough, on a sample; see `precision`."""
        judged = validation if validation is not None else training
        step = max(1, len(judged) // _SAMPLE_ROWS)
        rows = np.arange(0, len(judged), step)
        sample = judged.take(rows)
        batches = list(self._batches(sample.texts))
        order = np.concatenate([rows for rows, _ in batches])
        self.sample_ = ([batch for _, batch in batches], sample.targets[order])
        self.exported_ = export_network(torch, self.network_, *self.sample_, self.precision)


def _copy_weights(network: "Module") -> dict[str, "Tensor"]:
    return {k: v.detach().clone() for k, v in network.state_dict().items()}


def _schedule(progress: float) -> float:
    if progress < _WARM_UP:
        return progress / _WARM_UP
    return (1 - progress) / (1 - _WARM_UP)
