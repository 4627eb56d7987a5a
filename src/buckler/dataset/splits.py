"""Leaves repetitions out, splits by group and by time, and checks that nothing leaks across."""

from dataclasses import dataclass
from enum import StrEnum
from hashlib import blake2b
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from buckler import _kernel
from buckler.dataset import Dataset
from buckler.dataset.dataset import MADE_FROM
from buckler.errors import LeakError, SettingsError
from buckler.normalize import NormalizedTexts

_N_NUMBERS = 128
N_BANDS = 16
THRESHOLD = 0.85

Digests = npt.NDArray[np.uint32]


@dataclass(frozen=True)
class Deduplication:
    """Events without repetitions, and the number of those left out.

    Attributes
    ----------
    events
        One event for each text.
    exact, near
        Number of exact and of near-duplicates left out.
    conflicting
        Number of texts that had several labels.
    """

    events: Dataset
    exact: int
    near: int
    conflicting: int


def deduplicate(events: Dataset, *, near: bool = True) -> Deduplication:
    """Keep one event for each normalized text: the first that has the majority's label.

    At a tie, the label that came first wins. With `near`, events that nearly repeat an earlier one
    with the same label go too.
    """
    first = first_of_each(content_hashes(events.texts))
    kept, conflicting = _representatives(events.labels, first)
    exact = len(events) - len(kept)
    unique = events.take(kept) if exact else events
    n_near = 0
    if near:
        earlier = earlier_near_duplicates(minhash(unique.texts))
        repeats = (earlier >= 0) & (unique.labels == unique.labels[earlier])
        n_near = int(repeats.sum())
        if n_near:
            unique = unique.take(np.flatnonzero(~repeats))
    return Deduplication(unique, exact, n_near, conflicting)


def _representatives(
    labels: npt.NDArray[np.int32], first: npt.NDArray[np.intp]
) -> tuple[npt.NDArray[np.intp], int]:
    """Return a row for each text, with the label most given, and how many texts have several."""
    known = np.flatnonzero(labels >= 0)
    pairs = np.stack([first[known], labels[known]], axis=1)
    pairs, at, votes = np.unique(pairs, axis=0, return_index=True, return_counts=True)
    # By text, then most votes, then whose label came first; the top of each text wins.
    order = np.lexsort((at, -votes, pairs[:, 0]))
    texts, top, several = np.unique(pairs[order, 0], return_index=True, return_counts=True)
    winners = known[at[order[top]]]
    unlabeled = np.setdiff1d(first, texts)
    return np.sort(np.concatenate([winners, unlabeled])), int((several > 1).sum())


@dataclass(frozen=True)
class Split:
    """Row numbers of the two sides."""

    left: npt.NDArray[np.intp]
    right: npt.NDArray[np.intp]


def split_by_group(events: Dataset, share: float, seed: int, purpose: bytes = b"") -> Split:
    """Put about `share` of the events on the right; no group stands on both sides.

    The side of a group depends only on its name, the seed and the purpose, so it stays when data is
    added. A side that is split again needs another purpose (at most 8 bytes): the same draw would
    leave all its groups on one side.
    """
    if not 0 < share < 1:
        raise SettingsError(f"the share of a split must lie between 0 and 1, not {share}")
    right = draw_groups(events, purpose + seed.to_bytes(8, "little")) < share
    return Split(np.flatnonzero(~right), np.flatnonzero(right))


def draw_groups(events: Dataset, salt: bytes) -> npt.NDArray[np.float64]:
    """Return a number from 0 to 1 for each event, which depends only on its group and the salt.

    An event without a group has a number of its own.
    """

    def draw(key: str | bytes) -> float:
        content = key if isinstance(key, bytes) else key.encode("utf-8", "replace")
        digest = blake2b(content, digest_size=8, salt=salt).digest()
        return int.from_bytes(digest, "little") / 2**64

    _, first, inverse = np.unique(events.group_codes(), return_index=True, return_inverse=True)
    table = events.table.select(["group", "id"]).take(pa.array(first))
    pairs = zip(*(column.to_pylist() for column in table.columns), strict=True)
    drawn = [draw(i if group is None else group) for group, i in pairs]
    return np.array(drawn, np.float64)[inverse]


def split_by_time(events: Dataset, share: float) -> Split:
    """Put the newest `share` of the events that have a time on the right, the rest on the left.

    Raises
    ------
    SettingsError
        If no event has a time.
    """
    times = events.times
    known = times[~np.isnan(times)]
    if not len(known):
        raise SettingsError("a split by time needs events with a `ts` column; split by group")
    right = times > np.quantile(known, 1 - share)
    return Split(np.flatnonzero(~right), np.flatnonzero(right))


def apart_from(events: Dataset, held_out: Dataset) -> npt.NDArray[np.intp]:
    """Return the rows that share no group and no text with events that are held out.

    A synthetic example counts as of every group that it was made from; a parent without a group is
    named by its id, in hexadecimal.
    """
    table, others = events.table, held_out.table
    same = [pc.is_in(table[name], others[name].drop_null()) for name in ("id", "group")]
    apart = ~np.array(pc.or_(*same), bool)
    if MADE_FROM in table.column_names:
        parents = table[MADE_FROM].combine_chunks()
        alone = others.filter(pc.is_null(others["group"]))["id"].to_pylist()
        names = pa.chunked_array(
            [*others["group"].chunks, pa.array([i.hex() for i in alone], pa.string())]
        )
        shared = pc.is_in(pc.list_flatten(parents), names.drop_null())
        rows = np.array(pc.list_parent_indices(parents))
        apart[rows[np.array(shared, bool)]] = False
    return np.flatnonzero(apart)


class OnLeak(StrEnum):
    """Answers to training and test data that share a group or a near-duplicate."""

    FAIL = "fail"
    DROP = "drop"
    ALLOW = "allow"


@dataclass(frozen=True)
class Leaks:
    """Test rows that are not as unseen as they should be.

    Attributes
    ----------
    same_text, near_text, same_group
        bool [n_test]: the normalized text stands in training; nearly so; its group does.
    training_rows
        Rows of the training events that share a group or a text with the test events.
    """

    same_text: npt.NDArray[np.bool_]
    near_text: npt.NDArray[np.bool_]
    same_group: npt.NDArray[np.bool_]
    training_rows: npt.NDArray[np.intp]

    def save(self, path: Path) -> None:
        """Write to an ``.npz`` file."""
        np.savez(path, **vars(self))

    @staticmethod
    def load(path: Path) -> "Leaks":
        """Read what `save` wrote."""
        with np.load(path, allow_pickle=False) as arrays:
            return Leaks(**arrays)

    @property
    def is_seen(self) -> npt.NDArray[np.bool_]:
        """Flags of the test rows that share a text, a near-duplicate or a group with training."""
        return self.same_text | self.near_text | self.same_group

    @property
    def any(self) -> bool:
        """True if anything leaks."""
        return bool(self.is_seen.any())


@dataclass(frozen=True)
class _Traces:
    """Hashes and signatures of texts, and groups: by these, events are compared."""

    hashes: npt.NDArray[np.void]
    digests: Digests
    groups: pa.ChunkedArray

    @staticmethod
    def of(events: Dataset) -> "_Traces":
        return _Traces(content_hashes(events.texts), minhash(events.texts), events.table["group"])

    def take(self, rows: npt.NDArray[np.intp]) -> "_Traces":
        return _Traces(self.hashes[rows], self.digests[rows], self.groups.take(pa.array(rows)))

    def leaks(self, test: "_Traces") -> Leaks:
        """Return what training events with these traces share with test events."""
        same_text = np.isin(test.hashes, self.hashes)
        near = near_duplicates_of(test.digests, self.digests)
        near_text = near >= 0
        same_group = np.array(pc.is_in(test.groups, self.groups.drop_null()), bool)
        rows = np.isin(self.hashes, test.hashes)
        # One side may find what the other missed.
        repeated = near_duplicates_of(self.digests, test.digests)
        near_text[repeated[repeated >= 0]] = True
        rows |= repeated >= 0
        rows[near[near >= 0]] = True
        rows |= np.array(pc.is_in(self.groups, test.groups.drop_null()), bool)
        return Leaks(same_text, near_text & ~same_text, same_group, np.flatnonzero(rows))


def find_leaks(training: Dataset, test: Dataset) -> Leaks:
    """Compare by normalized text, by near-duplicate and by group."""
    return _Traces.of(training).leaks(_Traces.of(test))


def unlike(events: Dataset, test: Dataset) -> npt.NDArray[np.intp]:
    """Return the rows that share no group, no text and no near-duplicate with the test events."""
    return np.setdiff1d(np.arange(len(events)), find_leaks(events, test).training_rows)


def check_leaks(training: Dataset, test: Dataset, on_leak: OnLeak) -> tuple[Dataset, Leaks]:
    """Find leaks, and fail, drop the training rows that leak, or let them pass.

    Raises
    ------
    LeakError
        If something leaks and `on_leak` is ``fail``, or if ``drop`` leaves no row of a class.
    """
    learned, tested = _Traces.of(training), _Traces.of(test)
    leaks = learned.leaks(tested)
    if not leaks.any or on_leak is OnLeak.ALLOW:
        return training, leaks
    if on_leak is OnLeak.DROP:
        rows = np.setdiff1d(np.arange(len(training)), leaks.training_rows)
        kept = training.take(rows)
        if lost := _lost_class(training, kept):
            raise LeakError(
                f"each training row of class {lost!r} shares a text, a near-duplicate or a group "
                "with the test rows, so none would be left to learn from; give other test data, or "
                "set on_leak to 'allow' to report seen and unseen rows apart"
            )
        return kept, learned.take(rows).leaks(tested)
    first = int(np.flatnonzero(leaks.is_seen)[0])
    raise LeakError(
        f"training and test data leak: of {len(test):,} test rows, {leaks.same_text.sum():,} "
        f"stand in training too, {leaks.near_text.sum():,} nearly do, and "
        f"{leaks.same_group.sum():,} share a group with it (for one, test row {first + 1}: "
        f"{test.texts[first][:60]!r}); set on_leak to 'drop' to leave them out of training, or to "
        "'allow' to report seen and unseen groups apart"
    )


def without_seen(training: Dataset, test: Dataset) -> Dataset:
    """Return the test rows whose text does not stand in training, and nearly so neither.

    Raises
    ------
    LeakError
        If no row of a class is left.
    """
    leaks = find_leaks(training, test)
    unseen = test.take(np.flatnonzero(~(leaks.same_text | leaks.near_text)))
    if lost := _lost_class(test, unseen):
        raise LeakError(
            f"each row of class {lost!r} that the split would test on repeats a training row, or "
            "nearly does; set deduplicate to 'near', or give test data"
        )
    return unseen


def _lost_class(before: Dataset, after: Dataset) -> str | None:
    lost = np.setdiff1d(before.labels, after.labels)
    return before.task.class_names[int(lost[0])] if len(lost) else None


def content_hashes(texts: NormalizedTexts) -> npt.NDArray[np.void]:
    """Return a 16-byte hash of each text."""
    hashes = b"".join(blake2b(text, digest_size=16).digest() for text in texts)
    return np.frombuffer(hashes, np.dtype("V16"))


def first_of_each(hashes: npt.NDArray[np.void]) -> npt.NDArray[np.intp]:
    """Return for each row the first row with the same content."""
    _, first, inverse = np.unique(hashes, return_index=True, return_inverse=True)
    return first[inverse]


def minhash(texts: NormalizedTexts) -> Digests:
    """Return MinHash signatures, uint32 [n, 128], of runs of five bytes; features do not count.

    The first 4,096 runs of a text count (Broder 1997).
    """
    texts = texts.without_features()
    signatures = _kernel.minhash(texts.offsets, texts.data)
    return np.frombuffer(signatures, np.uint32).reshape(len(texts), _N_NUMBERS)


def _band_keys(digests: Digests) -> npt.NDArray[np.uint64]:
    """Return one number for each band of each signature, [bands, n]."""
    bands = digests.reshape(len(digests), N_BANDS, -1).transpose(1, 2, 0)
    keys = np.zeros((N_BANDS, len(digests)), np.uint64)
    for column in range(bands.shape[1]):
        keys = (keys ^ bands[:, column]) * np.uint64(0x9E3779B97F4A7C15)
        keys ^= keys >> np.uint64(32)
    return keys


def near_duplicates_of(digests: Digests, others: Digests) -> npt.NDArray[np.intp]:
    """Return for each row of `digests` a near-duplicate among `others`, or -1."""
    found = np.full(len(digests), -1, np.intp)
    if not len(digests) or not len(others):
        return found
    for keys, other_keys in zip(_band_keys(digests), _band_keys(others), strict=True):
        places = pc.index_in(pa.array(keys), pa.array(other_keys)).fill_null(-1).to_numpy()
        hit = np.flatnonzero((places >= 0) & (found < 0))
        found[hit] = _confirm(digests[hit], others[places[hit]], places[hit])
    return found


def near_duplicate_clusters(texts: NormalizedTexts) -> npt.NDArray[np.intp]:
    """Return for each text the first of the texts that it is, or nearly repeats, step by step."""
    found = earlier_near_duplicates(minhash(texts))
    first = np.where(found < 0, np.arange(len(found)), found)
    while (first[first] != first).any():
        first = first[first]
    return first


def _confirm(a: Digests, b: Digests, rows: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
    return np.where((a == b).mean(axis=1) >= THRESHOLD, rows, -1)


def earlier_near_duplicates(digests: Digests) -> npt.NDArray[np.intp]:
    """Return for each row an earlier row that it nearly repeats, or -1."""
    found = np.full(len(digests), -1, np.intp)
    if not len(digests):
        return found
    for keys in _band_keys(digests):
        _, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
        candidate = first[inverse]
        hit = np.flatnonzero((candidate < np.arange(len(digests))) & (found < 0))
        found[hit] = _confirm(digests[hit], digests[candidate[hit]], candidate[hit])
    return found
