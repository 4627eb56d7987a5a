"""Limits on a network in a bundle, checked before ONNX Runtime sees it.

An ONNX file can name files to read, carry loops, functions and custom operators, and ask for
tensors of any size. Ours need none of that: this walks the protobuf (with the standard library, so
that an endpoint needs no parser) and refuses all but a list of operators with bounded attributes.
"""

from collections.abc import Iterator
from typing import NamedTuple

from buckler.errors import BundleError

# What the exporter emits for our students; each is bounded by its inputs and by its attributes.
_OPERATOR_NAMES = """
    Add Cast Clip Concat Constant ConstantOfShape Conv DequantizeLinear Div Equal Gather Gemm
    Identity LayerNormalization MatMul Mul Not Pad QuantizeLinear ReduceMax ReduceMean ReduceSum
    Relu Reshape Shape Slice Softmax Sqrt Squeeze Sub Transpose Unsqueeze
"""
OPERATORS = frozenset(_OPERATOR_NAMES.split())
_MAX_NODES = 4096
_PRODUCTS = ("Conv", "Gemm", "MatMul")  # each may take long; eight layers have 50
_MAX_PRODUCTS = 128
_MAX_ATTRIBUTE = 1 << 16
_MAX_ITEMS = 1 << 20
_MAX_VOLUME = 1 << 26
_MAX_INT = (1 << 63) - 1
_MAX_RANK = 16
_MAX_ATTRIBUTE_ITEMS = 1 << 12
_MAX_FOLDED = 1 << 28
_INT64 = 7
# Operators whose result is no larger than what they read.
_FOLDABLE_NAMES = """
    Cast Concat Constant DequantizeLinear Identity QuantizeLinear Reshape Shape Slice Squeeze
    Transpose Unsqueeze
"""
_FOLDABLE = frozenset(_FOLDABLE_NAMES.split())

_Field = tuple[int, int, "int | memoryview"]


def check_onnx(data: bytes) -> None:
    """Refuse a network that a bundle may not hold.

    Raises
    ------
    BundleError
        If it is not sound protobuf, names other files, or uses what is not on the list.
    """
    graphs = []
    for number, _, value in _fields(memoryview(data)):
        if number == 7:
            graphs.append(_bytes(value))
        elif number in (20, 25):
            raise BundleError("the network carries functions or training code")
        elif number == 8:
            domain = b"".join(bytes(_bytes(v)) for n, _, v in _fields(_bytes(value)) if n == 1)
            if domain not in (b"", b"ai.onnx", b"com.microsoft"):
                raise BundleError("the network uses operators that are not ONNX's own")
    if len(graphs) != 1:
        raise BundleError("the network has no graph, or several")
    folded = _ConstantFolding()
    for number, _, value in _fields(graphs[0]):
        if number == 5:
            name, tensor = _check_tensor(_bytes(value))
            folded.add(name, tensor)
        elif number == 15:
            raise BundleError("the network has sparse weights")
    nodes = products = 0
    for number, _, value in _fields(graphs[0]):
        if number == 1:
            nodes += 1
            operator = _check_node(_bytes(value), folded)
            products += operator in _PRODUCTS
            if nodes > _MAX_NODES or products > _MAX_PRODUCTS:
                raise BundleError("the network has too many nodes")


class _Tensor(NamedTuple):
    """Number of items of a constant, and the product of its values, where it may be a shape."""

    size: int
    volume: int | None


class _ConstantFolding:
    """Constants, and what is computed from constants alone: ONNX Runtime does that as it loads.

    Its size is bounded, so that loading takes no longer than the file is large.
    """

    def __init__(self) -> None:
        self._tensors: dict[str, _Tensor] = {"": _Tensor(0, None)}  # an input left out
        self._total = 0

    def add(self, name: str, tensor: _Tensor) -> None:
        """Enter a constant."""
        self._tensors[name] = tensor
        self._total += tensor.size
        if self._total > _MAX_FOLDED:
            raise BundleError("the network computes too much from constants")

    def add_node(
        self, operator: str, inputs: list[str], outputs: list[str], own: _Tensor | None
    ) -> None:
        """Enter the results of a node, if all that it reads is constant."""
        if not all(name in self._tensors for name in inputs):
            return
        read = [self._tensors[name] for name in inputs]
        if operator == "ConstantOfShape":
            if not read or read[0].volume is None:
                raise BundleError("the network asks for a tensor of a size that it computes")
            size = read[0].volume
        elif operator in _FOLDABLE:
            size = sum(tensor.size for tensor in read) + (0 if own is None else own.size)
        else:
            raise BundleError(f"the network applies {operator} to constants alone")
        for name in outputs:
            self.add(name, own if own is not None else _Tensor(size, None))


def _check_node(node: memoryview, folded: _ConstantFolding) -> str:
    """Check a node; return the name of its operator."""
    operator, inputs, outputs, own = "", list[str](), list[str](), None
    for number, _, value in _fields(node):
        if number in (1, 2):
            name = bytes(_bytes(value)).decode("utf-8", "replace")
            (inputs if number == 1 else outputs).append(name)
        elif number == 4:
            operator = bytes(_bytes(value)).decode("ascii", "replace")
            if operator not in OPERATORS:
                raise BundleError(f"the network uses the operator {operator[:40]!r}")
        elif number == 7 and bytes(_bytes(value)) not in (b"", b"ai.onnx"):
            raise BundleError("the network uses operators that are not ONNX's own")
        elif number == 5:
            own = _check_attribute(_bytes(value)) or own
    folded.add_node(operator, inputs, outputs, own)
    return operator


def _check_attribute(attribute: memoryview) -> _Tensor | None:
    """Check an attribute; return what is known of its tensor, if it has one."""
    found, items = None, 0
    for number, wire, value in _fields(attribute):
        if number == 3:
            _check_size(_to_signed(value))
        elif number == 8:
            for item in _unpack(wire, value):
                _check_size(item)
                items += 1
                if items > _MAX_ATTRIBUTE_ITEMS:
                    raise BundleError("the network has too many whole numbers")
        elif number == 5:
            found = _check_tensor(_bytes(value))[1]
        elif number not in (1, 2, 4, 7, 13, 20, 21):  # names, floats, strings, type
            raise BundleError("the network has a graph inside a node, or what is not on the list")
    return found


def _check_tensor(tensor: memoryview) -> tuple[str, _Tensor]:
    """Check a tensor; return its name, and what is known of it."""
    name, kind, raw, dims, rank = "", 0, memoryview(b""), 1, 0
    whole: list[int] = []
    for number, wire, value in _fields(tensor):
        if number == 13 or (number == 14 and value != 0):
            raise BundleError("the network keeps weights in other files")
        if number == 2 and isinstance(value, int):
            kind = value
        elif number == 8:
            name = bytes(_bytes(value)).decode("utf-8", "replace")
        elif number == 9:
            raw = _bytes(value)
        elif number == 7:
            whole += _unpack(wire, value)
            if len(whole) > _MAX_ITEMS:
                raise BundleError("the network has too many whole numbers")
        elif number == 1:
            for dim in _unpack(wire, value):
                rank += 1
                if not 0 <= dim <= _MAX_ITEMS * 64 or rank > _MAX_RANK:
                    raise BundleError("the network has a tensor of an impossible shape")
                dims *= dim
    if dims > 1 << 28:
        raise BundleError("the network has a tensor that is too large")
    if kind != _INT64:
        return name, _Tensor(dims, None)
    if len(raw) > 8 * _MAX_ITEMS or len(raw) % 8:  # shapes, starts, ends, pads
        raise BundleError("the network has too many whole numbers")
    volume = 1
    for item in (*whole, *(raw.cast("q") if raw else ())):
        _check_size(item)
        volume *= abs(item) if abs(item) <= _MAX_ATTRIBUTE else 1
        if volume > _MAX_VOLUME:  # as a shape, it would be too much
            raise BundleError(f"the network asks for a tensor of {volume} numbers")
    return name, _Tensor(dims, volume)


def _check_size(value: int) -> None:
    """Sizes and positions are small; the ends of the range mean `to the end`."""
    if -_MAX_ATTRIBUTE <= value <= _MAX_ATTRIBUTE or value in (_MAX_INT, -_MAX_INT, -_MAX_INT - 1):
        return
    if value == 0xFFFFFFFF or (-(1 << 31) <= value < 1 << 31 and value & (value + 1) == 0):
        return  # masks of hashes
    raise BundleError(f"the network asks for a size of {value}")


# --- the wire format --------------------------------------------------------------------------


def _fields(data: memoryview) -> Iterator[_Field]:
    """Yield (field number, wire type, value) of one message."""
    at, end = 0, len(data)
    while at < end:
        key, at = _varint(data, at)
        number, wire = key >> 3, key & 7
        if wire == 0:
            value, at = _varint(data, at)
            yield number, wire, value
            continue
        if wire == 2:
            size, at = _varint(data, at)
        elif wire in (1, 5):
            size = 8 if wire == 1 else 4
        else:
            raise BundleError("the network is not sound ONNX")
        if size > end - at:
            raise BundleError("the network is cut short")
        yield number, wire, data[at : at + size]
        at += size


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(data):
            raise BundleError("the network is cut short")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & 0xFFFFFFFFFFFFFFFF, at
    raise BundleError("the network is not sound ONNX")


def _bytes(value: int | memoryview) -> memoryview:
    if isinstance(value, int):
        raise BundleError("the network is not sound ONNX")
    return value


def _to_signed(value: int | memoryview) -> int:
    if not isinstance(value, int):
        raise BundleError("the network is not sound ONNX")
    return value - (1 << 64) if value >> 63 else value


def _unpack(wire: int, value: int | memoryview) -> Iterator[int]:
    """Yield the numbers of a repeated field, packed or one by one."""
    if wire == 0:
        yield _to_signed(value)
        return
    data, at = _bytes(value), 0
    while at < len(data):
        item, at = _varint(data, at)
        yield _to_signed(item)
