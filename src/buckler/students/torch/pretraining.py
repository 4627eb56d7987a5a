"""Lets a `minibert` restore hidden bytes of unlabeled texts before it sees a label.

Masked-language pre-training (Devlin et al. 2019) over patches of bytes: a share of the patches is
hidden whole, and a linear layer says which bytes stood there.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np

from buckler.dataset import ColumnNames, read_dataset
from buckler.errors import OutputError, SettingsError
from buckler.normalize import NormalizedTexts
from buckler.normalize.padding import MASK
from buckler.students.student import get_student
from buckler.students.torch import training_loop
from buckler.students.torch.minibert import MiniBertStudent
from buckler.tasks import get_task

if TYPE_CHECKING:
    from torch.nn import Module

_HIDDEN_SHARE = 0.2


def pretrain(
    data: Sequence[Path],
    task: str,
    output: Path,
    settings: Mapping[str, object] | None = None,
    *,
    text_column: str | None = None,
    on_step: Callable[[str], None] = lambda _: None,
) -> list[float]:
    """Pre-train a `minibert` on the unlabeled events of files.

    Parameters
    ----------
    data
        Files or folders of events; labels are not read.
    task
        Name of a task, or path of a task file.
    output
        File of weights to write, for the setting `pretrained` of a student of the same shape.
    settings
        Settings of the student.
    text_column
        Name of the text column, where the task's usual names do not fit.
    on_step
        Called with a line for each step.

    Returns
    -------
    list
        Loss of each epoch, in nats a hidden byte.

    Raises
    ------
    BucklerError
        If an input or a setting is not valid, or the file cannot be written.
    """
    student = cast("MiniBertStudent", get_student("minibert", settings or {}))
    on_step("reading")
    events = read_dataset(data, get_task(task), ColumnNames(text=text_column), labeled=False)
    on_step(f"learning from {len(events):,} events")

    def on_epoch(epoch: int, loss: float) -> None:
        on_step(f"epoch {epoch}/{student.epochs}: {loss:.3f} nats a hidden byte")

    return pretrain_body(student, events.texts, output, on_epoch)


def pretrain_body(
    student: MiniBertStudent,
    texts: NormalizedTexts,
    path: Path,
    on_epoch: Callable[[int, float], None] | None = None,
) -> list[float]:
    """Train the body of a student and write it; return the loss of each epoch, in nats a byte.

    The file goes into the setting `pretrained` of a student with the same layers, heads, width,
    patch and max_length.

    Raises
    ------
    SettingsError
        If there are no texts.
    OutputError
        If the file cannot be written.
    """
    if not len(texts):
        raise SettingsError("there is nothing to learn from")
    torch = training_loop.import_torch("pre-training")
    torch.manual_seed(student.seed)
    device = training_loop.find_device(student.device)
    network = student.build(torch, 1).to(device)
    body, patch = network.body, student.patch
    restore = torch.nn.Linear(student.width, patch * 256).to(device)
    parameters = [*body.parameters(), *restore.parameters()]
    optimizer = torch.optim.AdamW(
        parameters, student.learning_rate, weight_decay=student.weight_decay, fused=True
    )
    steps = student.epochs * -(-len(texts) // student.batch_rows)
    losses: list[float] = []
    step = 0
    for epoch in range(1, student.epochs + 1):
        rng = np.random.default_rng((student.seed, epoch))
        body.train()
        total = count = 0.0
        for _, padded in student.shuffle(texts, rng):
            width = -(-padded.shape[1] // patch) * patch
            whole = np.zeros((len(padded), width), np.uint8)
            whole[:, : padded.shape[1]] = padded
            drawn = rng.random((len(whole), width // patch)) < _HIDDEN_SHARE
            hidden = np.repeat(drawn, patch, axis=1) & (whole != 0)
            shown = np.where(hidden, MASK, whole).astype(np.uint8)[:, : padded.shape[1]]
            if not hidden.any():
                continue
            for group in optimizer.param_groups:
                group["lr"] = student.learning_rate * (1 - step / max(steps, 1))
            with training_loop.mixed_precision(torch, device):
                vectors, _ = body(torch.from_numpy(shown).to(device))
                said = restore(vectors).float()
            said = said.reshape(len(whole), -1, 256)[:, :width]
            mask = torch.from_numpy(hidden[:, : said.shape[1]]).to(device)
            wanted = torch.from_numpy(whole[:, : said.shape[1]].astype(np.int64)).to(device)
            loss = torch.nn.functional.cross_entropy(said[mask], wanted[mask])
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(parameters, 1.0)
            optimizer.step()
            step += 1
            total += float(loss.detach()) * int(mask.sum())
            count += int(mask.sum())
        losses.append(total / max(count, 1))
        _write(body, path)
        if on_epoch is not None:
            on_epoch(epoch, losses[-1])
    return losses


def _write(body: "Module", path: Path) -> None:
    from safetensors.torch import save_file

    partial = path.with_name(path.name + ".partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file({k: v.detach().cpu().contiguous() for k, v in body.state_dict().items()}, partial)
        partial.replace(path)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written ({error.strerror})") from error
