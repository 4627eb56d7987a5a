"""The network of the encoder in torch: loading, and labeling on the device that holds it."""

import os
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np

from buckler.errors import InputError
from buckler.extras import import_extra
from buckler.files import write_atomically
from buckler.students.torch import training_loop
from buckler.students.torch.training_loop import find_device, mixed_precision
from buckler.teachers.encoder.tokens import Batch, Ids, Logits, gather_logits

if TYPE_CHECKING:
    import torch
    from torch import Tensor
    from transformers import AutoModel, PreTrainedModel

_BATCH_TOKENS, _BATCH_TOKENS_GPU = 8192, 131_072  # enough to keep the device busy


class TorchClassifier:
    """Runs a fine-tuned network in bfloat16, where the device computes it natively.

    Parameters
    ----------
    path
        Weights of the fine-tuned network.
    model_folder
        Folder of the pre-trained model, which has the shape of the network.
    n_classes
        Number of classes.
    device
        ``auto``, ``cpu`` or ``cuda``.
    """

    def __init__(self, path: Path, model_folder: Path, n_classes: int, *, device: str) -> None:
        from safetensors.torch import load_file

        network = load_network(model_folder, n_classes, 0)
        network.load_state_dict(load_file(path))
        self._network = network.to(find_device(device))

    def logits(self, encoded: Sequence[Ids]) -> Logits:
        """Return float32 [n, classes]."""
        return logits_of(self._network, encoded)


def logits_of(network: "torch.nn.Module", encoded: Sequence[Ids]) -> Logits:
    """Return float32 [n, classes] from the torch module itself."""
    torch = import_torch()
    device = next(network.parameters()).device
    network.eval()

    def run(batch: Batch) -> Logits:
        return np.asarray(network(*tensors_of(device, batch)).float().cpu().numpy())

    max_tokens = _BATCH_TOKENS_GPU if device.type == "cuda" else _BATCH_TOKENS
    with torch.inference_mode(), mixed_precision(torch, device):
        return gather_logits(encoded, max_tokens, run)


def tensors_of(device: "torch.device", batch: Batch) -> "tuple[Tensor, Tensor]":
    """Return the ids and the mask of a batch, on the device."""
    torch = import_torch()
    return torch.from_numpy(batch.ids).to(device), torch.from_numpy(batch.mask).to(device)


def save_network(network: "torch.nn.Module", path: Path) -> None:
    """Write the weights as safetensors."""
    from safetensors.torch import save

    weights = {k: v.detach().cpu().contiguous() for k, v in network.state_dict().items()}
    write_atomically(path, save(weights))


def load_network(folder: Path, n_classes: int, seed: int) -> "torch.nn.Module":
    """Return a torch module: the encoder of this folder, mean pooling, and a linear head.

    Raises
    ------
    InputError
        If the folder holds no model in safetensors.
    """
    torch = import_torch()
    transformers = import_extra("transformers", "the teacher 'encoder'", "torch,onnx")

    class Network(torch.nn.Module):  # type: ignore[name-defined,misc]
        def __init__(self) -> None:
            super().__init__()
            self.encoder = _load_pretrained(transformers.AutoModel, folder)
            # Half of a small encoder's weights. Most tokens of a task are rare, so their gradients
            # say little, and each step would pass over all of them.
            self.encoder.get_input_embeddings().requires_grad_(requires_grad=False)
            width = self.encoder.config.hidden_size
            generator = torch.Generator().manual_seed(seed)
            self.head = torch.nn.Linear(width, n_classes)
            with torch.no_grad():
                self.head.weight.normal_(0, 0.02, generator=generator)
                self.head.bias.zero_()

        def forward(self, ids: "Tensor", mask: "Tensor") -> "Tensor":
            hidden = self.encoder(input_ids=ids, attention_mask=mask).last_hidden_state
            kept = mask.unsqueeze(-1).to(hidden.dtype)
            pooled = (hidden * kept).sum(1) / kept.sum(1)
            return self.head(pooled)

    return Network()


def _load_pretrained(auto: "type[AutoModel]", folder: Path) -> "PreTrainedModel":
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


def import_torch() -> ModuleType:
    """Return torch, or name the missing extra."""
    torch: ModuleType = training_loop.import_torch("the teacher 'encoder'")
    return torch
