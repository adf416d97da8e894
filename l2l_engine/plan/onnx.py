"""Would an ONNX graph have its reader open another file? As much of its format as that takes.

An ONNX tensor may say that its values lie in a file (``external_data``). OpenVINO opens it wherever it is,
for a graph in memory too. The ``onnx`` package could tell; the runtime does without it.
"""

from __future__ import annotations

from collections.abc import Iterator

_INSIDE = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node", 11: "attribute"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {},
}
"""By kind of message: the numbers of the fields in which there may be tensors, and what these fields are."""
_EXTERNAL_DATA = 13


def reads_another_file(graph: bytes) -> bool:
    """Whether any tensor of the graph, however deep in it, says that its values lie in a file.

    What is no ONNX is none of its business: False, and whoever loads it will say so.
    """
    waiting = [("model", memoryview(graph))]
    while waiting:
        kind, message = waiting.pop()
        for number, content in _fields(message):
            if kind == "tensor" and number == _EXTERNAL_DATA:
                return True
            if number in _INSIDE[kind]:
                waiting.append((_INSIDE[kind][number], content))
    return False


def _fields(message: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Number and content of the fields that hold bytes, up to the first that makes no sense."""
    at = 0
    try:
        while at < len(message):
            tag, at = _varint(message, at)
            wire = tag & 7
            if wire == 0:
                _, at = _varint(message, at)
            elif wire in (1, 5):
                at += 8 if wire == 1 else 4
            elif wire == 2:
                size, at = _varint(message, at)
                yield (tag & 0xFFFFFFFF) >> 3, message[at : at + size]
                at += size
            elif wire in (6, 7):
                return
            # 3 and 4 are the brackets of a group: what is between them is read as if they were not there.
    except IndexError:
        return


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    """A number in groups of seven bits, the lowest first, and where it ends."""
    value = 0
    for place in range(10):
        byte = message[at + place]
        value |= (byte & 0x7F) << (7 * place)
        if byte < 0x80:
            return value, at + place + 1
    raise IndexError
