"""Limits on a network in a bundle, checked before ONNX Runtime sees it.

An ONNX file can name files to read, carry loops, functions and custom operators, and ask for
tensors of any size. Ours need none of that: this walks the protobuf (with the standard library, so
that an endpoint needs no parser) and refuses all but a list of operators with bounded attributes.
"""

from collections.abc import Iterator

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
_INT64 = 7

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
    nodes = products = 0
    for number, _, value in _fields(graphs[0]):
        if number == 1:
            nodes += 1
            products += _check_node(_bytes(value)) in _PRODUCTS
            if nodes > _MAX_NODES or products > _MAX_PRODUCTS:
                raise BundleError("the network has too many nodes")
        elif number == 5:
            _check_tensor(_bytes(value))
        elif number == 15:
            raise BundleError("the network has sparse weights")


def _check_node(node: memoryview) -> str:
    """Check a node; return the name of its operator."""
    name = ""
    for number, _, value in _fields(node):
        if number == 4:
            name = bytes(_bytes(value)).decode("ascii", "replace")
            if name not in OPERATORS:
                raise BundleError(f"the network uses the operator {name[:40]!r}")
        elif number == 7 and bytes(_bytes(value)) not in (b"", b"ai.onnx"):
            raise BundleError("the network uses operators that are not ONNX's own")
        elif number == 5:
            _check_attribute(_bytes(value))
    return name


def _check_attribute(attribute: memoryview) -> None:
    for number, wire, value in _fields(attribute):
        if number == 3:
            _check_size(_to_signed(value))
        elif number == 8:
            for item in _unpack(wire, value):
                _check_size(item)
        elif number == 5:
            _check_tensor(_bytes(value))
        elif number not in (1, 2, 4, 7, 13, 20, 21):  # names, floats, strings, type
            raise BundleError("the network has a graph inside a node, or what is not on the list")


def _check_tensor(tensor: memoryview) -> None:
    kind, raw, dims = 0, memoryview(b""), 1
    for number, wire, value in _fields(tensor):
        if number == 13 or (number == 14 and value != 0):
            raise BundleError("the network keeps weights in other files")
        if number == 2 and isinstance(value, int):
            kind = value
        elif number == 9:
            raw = _bytes(value)
        elif number == 7:
            for item in _unpack(wire, value):
                _check_size(item)
        elif number == 1:
            for dim in _unpack(wire, value):
                if not 0 <= dim <= _MAX_ITEMS * 64:
                    raise BundleError("the network has a tensor of an impossible shape")
                dims *= dim
    if dims > 1 << 28:
        raise BundleError("the network has a tensor that is too large")
    if kind == _INT64:  # shapes, starts, ends, pads
        if len(raw) > 8 * _MAX_ITEMS or len(raw) % 8:
            raise BundleError("the network has too many whole numbers")
        volume = 1
        for item in raw.cast("q") if raw else ():
            _check_size(item)
            volume *= abs(item) if 1 < abs(item) <= _MAX_ATTRIBUTE else 1
        if volume > _MAX_VOLUME:  # as a shape, it would be too much
            raise BundleError(f"the network asks for a tensor of {volume} numbers")


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
