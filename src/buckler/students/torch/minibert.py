"""The `minibert` student: a few transformer layers over patches of bytes.

Small as BERTiny (Vörös et al. 2023), but without a tokenizer: a convolution over bytes with a
stride makes patches of them (after CANINE, Clark et al. 2022), so that attention goes over a third
of the length and any program that can pad bytes can run it. It may first learn to restore hidden
bytes of unlabeled texts (`buckler pretrain`).
"""

from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from buckler.errors import InputError, SettingsError
from buckler.students.student import STUDENTS
from buckler.students.torch.neural import NeuralStudent

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Module


@STUDENTS.add
@dataclass(kw_only=True, eq=False)
class MiniBertStudent(NeuralStudent):
    """Transformer layers over patches of bytes.

    Parameters
    ----------
    layers, heads, width
        Size of the transformer.
    patch
        Bytes of a patch.
    pretrained
        File that `buckler.students.torch.pretraining` wrote, for the same layers, width and patch.

    The other settings are those of `NeuralStudent`.
    """

    family = "minibert"

    layers: int = 3
    heads: int = 4
    width: int = 128
    patch: int = 3
    pretrained: str = ""
    learning_rate: float = 1e-3
    mask_rate: float = 0.1

    def build(self, torch: ModuleType, n_outputs: int) -> "Module":
        """Return the network, with pre-trained weights where there are any."""
        if not 1 <= self.layers <= 8 or self.width % self.heads or not 1 <= self.patch <= 8:
            raise SettingsError("layers must be 1 to 8, patch 1 to 8, width a multiple of heads")
        network = _network(torch, self, n_outputs)
        if self.pretrained:
            _load_body(network, Path(self.pretrained))
        return network


def _network(torch: ModuleType, settings: MiniBertStudent, n_outputs: int) -> "Module":
    nn, width, patch, heads = torch.nn, settings.width, settings.patch, settings.heads
    functional, dropout = nn.functional, settings.dropout
    n_patches = -(-settings.max_length // patch)

    class Layer(nn.Module):  # type: ignore[name-defined,misc]
        """Attention and a dense part, each normalized before and added to what came in."""

        def __init__(self) -> None:
            super().__init__()
            self.before_attention = nn.LayerNorm(width)
            self.queries_keys_values = nn.Linear(width, 3 * width)
            self.mixed = nn.Linear(width, width)
            self.before_dense = nn.LayerNorm(width)
            self.wide = nn.Linear(width, 2 * width)
            self.narrow = nn.Linear(2 * width, width)
            self.dropout = nn.Dropout(dropout / 2)

        def forward(self, x: "Tensor", hidden: "Tensor") -> "Tensor":
            n, length, _ = x.shape
            parts = self.queries_keys_values(self.before_attention(x))
            parts = parts.reshape(n, length, 3, heads, width // heads).permute(2, 0, 3, 1, 4)
            q, k, v = parts[0], parts[1], parts[2]
            scores = q @ k.transpose(2, 3) * (width // heads) ** -0.5 + hidden
            mixed = (scores.softmax(3) @ v).transpose(1, 2).reshape(n, length, width)
            x = x + self.dropout(self.mixed(mixed))
            dense = functional.relu(self.wide(self.before_dense(x)))
            return x + self.dropout(self.narrow(dense))

    class Body(nn.Module):  # type: ignore[name-defined,misc]
        """Bytes to one vector a patch."""

        def __init__(self) -> None:
            super().__init__()
            self.bytes = nn.Embedding(256, 48, padding_idx=0)
            self.near = nn.Conv1d(48, width, 5)
            self.patches = nn.Conv1d(width, width, patch, stride=patch)
            self.positions = nn.Parameter(torch.randn(n_patches, width) * 0.02)
            self.layers = nn.ModuleList(Layer() for _ in range(settings.layers))
            self.last = nn.LayerNorm(width)

        def forward(self, raw: "Tensor") -> tuple["Tensor", "Tensor"]:
            raw = functional.pad(raw.int(), (0, patch - 1))
            there = (raw != 0).float()
            x = self.bytes(raw).transpose(1, 2)
            x = functional.relu(self.near(functional.pad(x, (2, 2)))) * there.unsqueeze(1)
            x = self.patches(x).transpose(1, 2)
            x = x + self.positions[: x.shape[1]]
            there = there[:, ::patch][:, : x.shape[1]]
            hidden = ((1 - there) * -1e4).unsqueeze(1).unsqueeze(1)
            for layer in self.layers:
                x = layer(x, hidden)
            return self.last(x), there.unsqueeze(2)

    class MiniBert(nn.Module):  # type: ignore[name-defined,misc]
        def __init__(self) -> None:
            super().__init__()
            self.body = Body()
            self.dense = nn.Linear(2 * width, width)
            self.output = nn.Linear(width, n_outputs)
            self.dropout = nn.Dropout(dropout)

        def forward(self, raw: "Tensor") -> "Tensor":
            x, there = self.body(raw)
            mean = (x * there).sum(1) / there.sum(1).clamp(min=1)
            highest = (x + (1 - there) * -1e4).amax(1).clamp(min=-1e3)
            pooled = self.dropout(torch.cat([mean, highest], 1))
            return self.output(functional.relu(self.dense(pooled)))

    return MiniBert()


def _load_body(network: "Module", path: Path) -> None:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        network.body.load_state_dict(load_file(path))
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error})") from error
    except (SafetensorError, RuntimeError) as error:
        raise InputError(
            f"{path}: not pre-trained for these layers, width, patch and max_length"
        ) from error
