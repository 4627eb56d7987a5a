"""The `bytecnn` student: convolutions over bytes, no tokenizer.

After eXpose (Saxe and Berlin 2017): an embedding of bytes, filters of several widths beside each
other, pooled over the text, and a dense layer. Besides the sum, the highest answer of each filter
is kept (Kim 2014), and padding is masked so that it changes nothing.
"""

from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING

from buckler.errors import SettingsError
from buckler.students.student import STUDENTS
from buckler.students.torch.neural import NeuralStudent

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Module


@STUDENTS.add
@dataclass(kw_only=True, eq=False)
class ByteCnnStudent(NeuralStudent):
    """Convolutions over bytes.

    Parameters
    ----------
    embedding
        Number of dimensions of a byte.
    filters
        Number of filters of each width.
    widths
        Widths in bytes, as ``2,3,4,5``.
    hidden
        Width of the dense layer.

    The other settings are those of `NeuralStudent`.
    """

    family = "bytecnn"

    embedding: int = 32
    filters: int = 128
    widths: str = "2,3,4,5"
    hidden: int = 128

    def build(self, torch: ModuleType, n_outputs: int) -> "Module":
        """Return the network."""
        try:
            widths = [int(width) for width in self.widths.split(",")]
        except ValueError:
            raise SettingsError("widths must be numbers, as 2,3,4,5") from None
        if not widths or not all(1 <= width <= 16 for width in widths):
            raise SettingsError("widths must be 1 to 16")
        nn, embedding, filters, hidden = torch.nn, self.embedding, self.filters, self.hidden
        dropout = self.dropout

        class ByteCnn(nn.Module):  # type: ignore[name-defined,misc]
            def __init__(self) -> None:
                super().__init__()
                self.bytes = nn.Embedding(256, embedding, padding_idx=0)
                self.filters = nn.ModuleList(nn.Conv1d(embedding, filters, w) for w in widths)
                self.dense = nn.Linear(2 * filters * len(widths), hidden)
                self.output = nn.Linear(hidden, n_outputs)
                self.dropout = nn.Dropout(dropout)

            def forward(self, raw: "Tensor") -> "Tensor":
                x = self.bytes(raw.int()).transpose(1, 2)
                # One place before the text, empty: a filter can tell where it begins.
                there = nn.functional.pad((raw != 0).to(x.dtype), (1, 0), value=1.0).unsqueeze(1)
                root = there.sum(2).clamp(min=1).sqrt()
                pooled = []
                for width, filters in zip(widths, self.filters, strict=True):
                    answer = filters(nn.functional.pad(x, (1, width - 1)))
                    answer = nn.functional.relu(answer) * there
                    pooled += [answer.amax(2), answer.sum(2) / root]
                dense = self.dense(self.dropout(torch.cat(pooled, 1)))
                return self.output(nn.functional.relu(dense))

        return ByteCnn()
