"""Parts of all torch training: the import, mixed precision, checkpoints without pickle."""

import logging
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from buckler.errors import InputError, SettingsError
from buckler.extras import import_extra

if TYPE_CHECKING:
    import torch
    from torch.nn import Module
    from torch.optim import Optimizer


def import_torch(feature: str) -> ModuleType:
    """Return torch, or say which extra `feature` needs."""
    return import_extra("torch", feature, "torch,onnx")


def find_device(name: str) -> "torch.device":
    """Return the device of a setting: ``cpu``, ``cuda``, or ``auto`` for a GPU where there is one.

    Raises
    ------
    SettingsError
        If there is no such device here.
    """
    has_gpu = import_torch("a network").cuda.is_available()
    if name not in ("auto", "cpu", "cuda"):
        raise SettingsError("device must be auto, cpu or cuda")
    if name == "cuda" and not has_gpu:
        raise SettingsError("device = cuda, and torch sees no GPU here")
    device: torch.device = import_torch("a network").device(
        "cuda" if has_gpu and name != "cpu" else "cpu"
    )
    return device


def mixed_precision(torch: ModuleType, device: "torch.device") -> AbstractContextManager[object]:
    """Return a context: bfloat16 on a GPU, and on a CPU that computes it natively."""
    native = device.type == "cuda" or _has_native_bfloat16()
    context: AbstractContextManager[object] = torch.autocast(
        device.type, torch.bfloat16, enabled=native
    )
    return context


def _has_native_bfloat16() -> bool:
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace")
    except OSError:
        return False
    return "avx512_bf16" in flags or "amx_bf16" in flags


@contextmanager
def quiet_logging() -> Iterator[None]:
    """Silence exporter and quantizer, and undo what they do to the root logger."""
    root = logging.getLogger()
    level, handlers = root.level, root.handlers[:]
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)
        root.setLevel(level)
        root.handlers[:] = handlers


class Checkpoint:
    """Weights and the optimizer's moments after an epoch, and the best weights, as safetensors."""

    def __init__(self, path: Path, network: "Module", optimizer: "Optimizer") -> None:
        self._path, self._network, self._optimizer = path, network, optimizer
        self._best = path.with_suffix(".best.safetensors")

    def load(self) -> dict[str, str] | None:
        """Take up the state that was saved last and return what was said of it; None without one.

        Raises
        ------
        InputError
            If the file is not that of this network.
        """
        if not self._path.exists():
            return None
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(self._path, "pt") as file:
                said = dict(file.metadata() or {})
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            self._network.load_state_dict(
                {k[2:]: v for k, v in tensors.items() if k.startswith("w.")}
            )
            state = self._optimizer.state_dict()
            state["state"] = {}
            for name, tensor in tensors.items():
                if name.startswith("o."):
                    _, number, kind = name.split(".")
                    state["state"].setdefault(int(number), {})[kind] = tensor
            self._optimizer.load_state_dict(state)
        except (SafetensorError, RuntimeError, ValueError, KeyError, OSError) as error:
            raise InputError(
                f"{self._path}: not a checkpoint of this training ({str(error)[:80]}); delete it"
            ) from error
        return said

    def save(self, said: dict[str, str], *, is_best: bool) -> None:
        """Write everything; weights that are the best so far also by themselves."""
        from safetensors.torch import save_file

        weights = {k: v.detach().cpu().contiguous() for k, v in self._network.state_dict().items()}
        tensors = {f"w.{name}": tensor for name, tensor in weights.items()}
        for number, moments in self._optimizer.state_dict()["state"].items():
            for kind, tensor in moments.items():
                tensors[f"o.{number}.{kind}"] = tensor.detach().cpu().contiguous()
        if is_best:
            _replace(self._best, lambda path: save_file(weights, path))
        _replace(self._path, lambda path: save_file(tensors, path, said))

    def load_best(self) -> None:
        """Put the best weights into the network."""
        from safetensors.torch import load_file

        if self._best.exists():
            self._network.load_state_dict(load_file(self._best))


def _replace(path: Path, write: Callable[[Path], None]) -> None:
    temporary = path.with_name(path.name + ".partial")
    write(temporary)
    temporary.replace(path)
