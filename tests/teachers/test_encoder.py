"""The encoder: a tiny transformer made here, and the real one on real labels."""

import json
import logging
import os
import signal
import string
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from buckler.dataset import read_dataset
from buckler.errors import InputError, SettingsError
from buckler.labels import LabelStore
from buckler.tasks import get_task
from buckler.teachers import get_teacher
from buckler.teachers.encoder import EncoderSettings, EncoderTeacher
from buckler.teachers.encoder.segmentation import Segmenter
from buckler.teachers.encoder.tokens import batches_by_length, random_batches
from buckler.teachers.labeling import label
from tests.support.few_rows import few_rows
from tests.support.made_up import made_up_table

TASK = get_task("url-threat")


@st.composite
def token_lists(draw):
    lengths = draw(st.lists(st.integers(1, 40), min_size=1, max_size=60))
    return [np.arange(1, n + 1) for n in lengths]


@given(token_lists(), st.integers(8, 200))
def test_batches_hold_every_text_once_within_their_budget(encoded, budget):
    seen = []
    for batch in batches_by_length(encoded, budget):
        n, longest = batch.ids.shape
        assert n == 1 or n * longest <= budget
        for row, ids, mask in zip(batch.rows, batch.ids, batch.mask, strict=True):
            assert (ids[mask == 1] == encoded[row]).all() and (ids[mask == 0] == 0).all()
        seen += batch.rows.tolist()
    assert sorted(seen) == list(range(len(encoded)))


@given(token_lists(), st.integers(1, 20), st.integers(0, 5))
def test_training_batches_hold_every_text_once_in_an_order_of_their_own(encoded, rows, seed):
    batches = [*random_batches(encoded, rows, np.random.default_rng(seed))]
    assert sorted(r for b in batches for r in b.rows.tolist()) == list(range(len(encoded)))
    assert max(len(b.rows) for b in batches) <= rows


def test_glued_names_are_cut_into_words(tmp_path):
    words = [
        "the",
        "of",
        "and",
        "com",
        "news",
        "water",
        "cheshire",
        "herald",
        "bank",
        "sports",
        "login",
        "pay",
        "pal",
    ]
    letters = string.ascii_lowercase
    filler = [f"q{a}z{b}" for a in letters for b in letters] + [
        f"j{a}x{b}" for a in letters for b in letters
    ]
    vocabulary = {word: rank for rank, word in enumerate(["[PAD]", "##s", *words, *filler])}
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps({"model": {"vocab": vocabulary}}), encoding="utf-8")
    segmenter = Segmenter(path)
    assert segmenter.split_words("CheshireHerald.com/sportsnews-1") == (
        "cheshire herald . com / sports news - 1"
    )
    assert segmenter.split_words("paypal") == "pay pal"
    assert segmenter.split_words("") == ""
    long = "a" * 5000
    assert segmenter.split_words(long) == long
    path.write_text('{"model": {"vocab": {"a": 1}}}', encoding="utf-8")
    with pytest.raises(InputError, match="too few"):
        Segmenter(path)


# --- with torch ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tiny_model(tmp_path_factory):
    """A transformer of a few thousand parameters in the format of the real one."""
    pytest.importorskip("torch", reason="the extra 'torch' is not installed")
    pytest.importorskip("onnxruntime", reason="the extra 'onnx' is not installed")
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers
    from transformers import BertConfig, BertModel

    folder = tmp_path_factory.mktemp("tiny")
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    texts = [made_up_table(500, np.random.default_rng(9)).column("url").to_pylist()]
    tokenizer.train_from_iterator(
        texts[0], trainers.WordPieceTrainer(vocab_size=300, special_tokens=special)
    )
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
    )
    BertModel(config).save_pretrained(folder)
    return folder


def made_up(path, n, seed):
    pq.write_table(made_up_table(n, np.random.default_rng(seed)), path)
    return path


def settings(tmp_path, model, **changes):
    train = made_up(tmp_path / "train.parquet", 600, 1)
    values = {
        "model": str(model),
        "train": [train],
        "work": tmp_path / "work",
        "epochs": 3,
        "learning_rate": 5e-3,
        "max_tokens": 32,
        "threads": 1,
    }
    return EncoderSettings(**values | changes)


def test_all_weights_but_those_of_the_tokens_learn(tiny_model):
    from buckler.teachers.encoder.network import load_network

    weights = dict(load_network(tiny_model, 2, 0).named_parameters())
    still = [name for name, tensor in weights.items() if not tensor.requires_grad]
    assert still == ["encoder.embeddings.word_embeddings.weight"]


def test_it_learns_calibrates_and_labels(tmp_path, tiny_model):
    notes = []
    who = EncoderTeacher(settings(tmp_path, tiny_model), TASK, on_note=notes.append)
    test = read_dataset([made_up(tmp_path / "test.parquet", 400, 2)], TASK)
    with LabelStore(tmp_path / "a.db") as store:
        result = label(test, who, store)
    assert result.new == result.events
    right = (result.probabilities.argmax(axis=1) == result.labels).mean()
    assert right > 0.8
    assert notes[0].startswith("fine-tuning on") and "int8 weights" in notes[-1]
    assert logging.getLogger().level == logging.WARNING  # the quantizer would have changed it
    # Trained once: another of the same settings only loads.
    notes.clear()
    again = EncoderTeacher(settings(tmp_path, tiny_model), TASK, on_note=notes.append)
    assert again.annotator == who.annotator
    assert again.probabilities(test) == pytest.approx(who.probabilities(test))
    assert not notes
    # The exact network and the int8 one agree.
    exact = EncoderTeacher(settings(tmp_path, tiny_model, precision="float32"), TASK)
    assert exact.annotator != who.annotator
    # In torch as in ONNX Runtime, from the same training.
    in_torch = settings(tmp_path, tiny_model, precision="bfloat16", device="cpu")
    torch_model = EncoderTeacher(in_torch, TASK, on_note=notes.append)
    assert torch_model.probabilities(test) == pytest.approx(exact.probabilities(test), abs=0.05)
    assert not notes
    said = json.loads(next((tmp_path / "work").glob("*/done.json")).read_text())
    assert abs(said["held_out_accuracy"]["int8"] - said["held_out_accuracy"]["float32"]) < 0.05
    assert not list((tmp_path / "work").rglob("checkpoint*"))


def test_it_learns_from_answers_of_another_teacher_alone(tmp_path, tiny_model):
    table = made_up_table(600, np.random.default_rng(1))
    labels = table.column("label").to_pylist()
    other = {"phishing": "benign", "benign": "phishing"}
    table = table.append_column("sure", pa.array([0.9, None] * 300))
    table = table.append_column("second", pa.array([other[label] for label in labels]))
    pq.write_table(table, tmp_path / "answers.parquet")
    answers = {"annotations": [tmp_path / "answers.parquet"], "confidence_column": "sure"}
    soft = settings(tmp_path, tiny_model, train=[], runner_up_column="second", **answers)
    who = EncoderTeacher(soft, TASK, on_note=str)
    targets = who._train_set.targets
    assert targets.max(axis=1)[:2].tolist() == pytest.approx([0.9, 0.8])
    test = read_dataset([made_up(tmp_path / "test.parquet", 400, 2)], TASK)
    assert (who.probabilities(test).argmax(axis=1) == test.labels).mean() > 0.8
    # As probabilities of the positive class, the same answers are the same teacher.
    positive = [t[1] for t in targets.tolist()]
    table = table.drop_columns(["label"]).append_column("p", pa.array(positive))
    pq.write_table(table, tmp_path / "answers.parquet")
    same = EncoderTeacher(soft.model_copy(update={"probability_column": "p"}), TASK, on_note=str)
    assert same._train_set.targets == pytest.approx(targets, abs=1e-6)
    with pytest.raises(ValidationError, match="name files in `train` or `annotations`"):
        settings(tmp_path, tiny_model, train=[])


def test_order_and_company_of_rows_do_not_matter(tmp_path, tiny_model):
    who = EncoderTeacher(
        settings(tmp_path, tiny_model, precision="float32", epochs=1), TASK, on_note=str
    )
    test = read_dataset([made_up(tmp_path / "test.parquet", 200, 2)], TASK)
    p = who.probabilities(test)
    order = np.random.default_rng(0).permutation(len(test))
    assert who.probabilities(test.take(order)) == pytest.approx(p[order], abs=1e-5)
    threads = settings(tmp_path, tiny_model, precision="float32", epochs=1, threads=3)
    assert (EncoderTeacher(threads, TASK, on_note=str).probabilities(test) == p).all()
    assert who.probabilities(test.take(order[:1])) == pytest.approx(p[order[:1]], abs=1e-5)


TRAIN = """
import os, sys
import onnxruntime, tokenizers, torch, transformers
from buckler.tasks import get_task
from buckler.teachers.encoder import EncoderSettings, EncoderTeacher
for line in sys.stdin:  # one training for each line, each in a process of its own
    child = os.fork()
    if child == 0:
        chosen = EncoderSettings.model_validate_json(line)
        print(os.getpid(), flush=True)
        task = get_task("url-threat")
        EncoderTeacher(chosen, task, on_note=lambda n: print(n, flush=True)).prepare()
        os._exit(0)
    os.waitpid(child, 0)
    print("ended", flush=True)
"""


def test_a_killed_training_goes_on_behind_its_last_epoch(tmp_path, tiny_model):
    def notes(chosen, kill_behind="never"):
        """Return what a training says; it is killed behind what begins with some words."""
        trainer.stdin.write(chosen.model_dump_json() + "\n")
        trainer.stdin.flush()
        child, said = int(trainer.stdout.readline()), []
        while (line := trainer.stdout.readline().strip()) != "ended":
            said.append(line)
            if line.startswith(kill_behind):
                os.kill(child, signal.SIGKILL)
        return said

    chosen = settings(tmp_path, tiny_model, epochs=4, patience=0)
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", TRAIN], **pipes) as trainer:
        notes(chosen, kill_behind="epoch 2")
        after = notes(chosen)
        assert [line.split(":")[0] for line in after[1:-1]] == ["epoch 3", "epoch 4"]
        whole = settings(tmp_path, tiny_model, epochs=4, patience=0, work=tmp_path / "other")
        uninterrupted = notes(whole)
    assert uninterrupted[3:5] == after[1:3]  # to the last digit that is shown


def test_what_cannot_be_trained_on_is_said(tmp_path, tiny_model):
    pq.write_table(pa.table({"url": ["a.example"] * 3}), tmp_path / "u.parquet")
    with pytest.raises(SettingsError, match="needs at least 4"):
        EncoderTeacher(settings(tmp_path, tiny_model, train=[tmp_path / "u.parquet"]), TASK)
    with pytest.raises(SettingsError, match="is missing"):
        EncoderTeacher(settings(tmp_path, tmp_path), TASK)
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "config.json").write_text("{}")
    (broken / "tokenizer.json").write_text("{}")
    with pytest.raises(InputError, match=r"tokenizer\.json: cannot be read"):
        EncoderTeacher(settings(tmp_path, broken), TASK)
    (broken / "tokenizer.json").write_bytes((tiny_model / "tokenizer.json").read_bytes())
    (broken / "pytorch_model.bin").write_bytes(b"a pickle would run code")
    with pytest.raises(InputError, match="no encoder that can be loaded"):
        EncoderTeacher(settings(tmp_path, broken), TASK, on_note=str).prepare()


@pytest.mark.slow
def test_the_packaged_encoder_learns_from_real_labels(tmp_path, real_data):
    pytest.importorskip("torch", reason="the extra 'torch' is not installed")
    labeled = pq.read_table(
        real_data / "url/threat-train.parquet", columns=["url", "label", "group"]
    )
    rows = np.random.default_rng(1).permutation(len(labeled))[:400]
    pq.write_table(labeled.take(rows), tmp_path / "few.parquet")
    (tmp_path / "encoder.toml").write_text(
        'train = ["few.parquet"]\nepochs = 2\nmax_tokens = 48\nlearning_rate = 2e-4\n'
    )
    try:
        who = get_teacher("encoder", tmp_path / "encoder.toml", TASK)
    except SettingsError as error:
        pytest.skip(str(error))
    test = read_dataset([few_rows(real_data / "url/threat-test.parquet", tmp_path, 470)], TASK)
    p = who.probabilities(test)
    assert ((p[:, 1] > 0.5) == (test.labels == 1)).mean() > 0.7
    assert (tmp_path / "encoder").is_dir()
