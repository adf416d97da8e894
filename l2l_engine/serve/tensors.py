"""Tensors of the Open Inference Protocol: BYTES and FP32, in JSON or in binary behind it."""

from __future__ import annotations

import base64
import binascii
import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from l2l_engine.result import Moment, Prediction
from l2l_engine.serve.intake import MOST_JSON, Body, json_object
from l2l_engine.serve.problems import bad_request

HEADER = "Inference-Header-Content-Length"
MOST_JSON_VIDEO = 8 * 2**20
"""Bytes of a request whose video is text in JSON, which has to be held in memory."""
OUTPUTS: dict[str, str] = {"label": "BYTES", "probabilities": "FP32", "segments": "BYTES"}
_LENGTH = struct.Struct("<I")


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request asks for.

    Attributes:
        id: Handed back.
        outputs: The outputs wanted, and whether in binary.
        parameters: Parameters of the request that are not the protocol's.
    """

    id: str | None
    outputs: Mapping[str, bool]
    parameters: Mapping[str, Any]


_STANDARD = {"binary_data_output", "sequence_id", "sequence_start", "sequence_end", "priority", "timeout"}
"""Parameters that are no options: they are about sequences and queues of other servers."""


def asked(header: Mapping[str, Any]) -> Asked:
    """What a request asks for, but for its video.

    Raises:
        RefusedError: It asks for something that there is not.
    """
    parameters = _object(header.get("parameters"), "parameters")
    default = parameters.get("binary_data_output") is True
    wanted = {}
    for output in _objects(header.get("outputs"), "outputs"):
        name, settings = output.get("name"), _object(output.get("parameters"), "parameters of an output")
        if name not in OUTPUTS:
            raise bad_request(f"there is no output {str(name)[:80]!r}; there are {', '.join(OUTPUTS)}")
        if "classification" in settings:
            raise bad_request("classification is not offered: ask for 'label'")
        wanted[name] = settings.get("binary_data", default) is True
    own = {name: value for name, value in parameters.items() if name not in _STANDARD}
    name = header.get("id")
    return Asked(None if name is None else str(name), wanted or dict.fromkeys(OUTPUTS, default), own)


def _video_input(header: Mapping[str, Any]) -> Mapping[str, Any]:
    inputs = _objects(header.get("inputs"), "inputs")
    if len(inputs) != 1 or inputs[0].get("name") != "video" or inputs[0].get("datatype") != "BYTES":
        raise bad_request("the one input is 'video', of datatype BYTES and shape [1]")
    shape = inputs[0].get("shape")
    if not isinstance(shape, list) or not shape or any(size != 1 for size in shape):
        raise bad_request(f"the shape of 'video' is [1]: one video a request, not {str(shape)[:80]}")
    return inputs[0]


async def read_binary(body: Body, header_bytes: int, target: Path) -> Mapping[str, Any]:
    """Read a request with binary data: its JSON; the video goes to ``target``.

    Raises:
        RefusedError: It is no such request.
    """
    if not 0 < header_bytes <= MOST_JSON:
        raise bad_request(f"{HEADER} must be 1 to {MOST_JSON}")
    head, header, size, declared = b"", None, 0, 0
    with target.open("xb") as file:
        async for piece in body:
            if header is not None:
                size += file.write(piece)
                continue
            head += piece
            if len(head) >= header_bytes + _LENGTH.size:
                header = json_object(head[:header_bytes])
                declared = _declared(_video_input(header), head[header_bytes : header_bytes + _LENGTH.size])
                size += file.write(head[header_bytes + _LENGTH.size :])
    if header is None or size != declared:
        raise bad_request("the binary data of 'video' is not as long as it says")
    return header


def _declared(video: Mapping[str, Any], length: bytes) -> int:
    """Bytes of the one element, which binary data begins with."""
    (declared,) = _LENGTH.unpack(length)
    size = _object(video.get("parameters"), "parameters of an input").get("binary_data_size")
    if size != declared + _LENGTH.size:
        raise bad_request(
            "binary_data_size of 'video' must be that of one element: its length in 4 bytes, then it"
        )
    return int(declared)


async def read_text(body: Body, target: Path) -> Mapping[str, Any]:
    """Read a request that is JSON alone: the video in it, as base64, goes to ``target``.

    Raises:
        RefusedError: It is no such request.
    """
    header = json_object(await body.all())
    data = _video_input(header).get("data")
    while isinstance(data, list) and len(data) == 1:
        data = data[0]
    try:
        if not isinstance(data, str):
            raise TypeError
        content = base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError, TypeError):
        raise bad_request("'video' in JSON is one text in base64; better, send binary data") from None
    target.write_bytes(content)
    return header


def respond(prediction: Prediction, asked: Asked, model: str, version: str) -> tuple[bytes, dict[str, str]]:
    """The response and its headers."""
    outputs, binary = [], []
    for name, in_binary in asked.outputs.items():
        values = _values(name, prediction)
        output: dict[str, Any] = {"name": name, "datatype": OUTPUTS[name], "shape": [len(values)]}
        if in_binary:
            binary.append(_as_binary(values))
            output["parameters"] = {"binary_data_size": len(binary[-1])}
        else:
            output["data"] = list(values)
        outputs.append(output)
    content: dict[str, Any] = {"model_name": model, "model_version": version, "outputs": outputs}
    if asked.id is not None:
        content["id"] = asked.id
    text = json.dumps(content).encode()
    if not binary:
        return text, {"Content-Type": "application/json"}
    return b"".join([text, *binary]), {"Content-Type": "application/octet-stream", HEADER: str(len(text))}


def _values(name: str, prediction: Prediction) -> Sequence[Any]:
    if name == "label":
        return [prediction.label]
    if name == "probabilities":
        return [float(value) for value in prediction.probabilities]
    return [json.dumps(segments(prediction), ensure_ascii=False)]


def segments(prediction: Prediction) -> list[dict[str, Any]]:
    """Stretches of the video and what happens there, each with the moments chosen in it.

    Of a plan that gives no segments it is one, the whole video with its label.
    """
    if prediction.segments is None:
        end = 0.0 if prediction.media is None else prediction.media.duration
        whole = _stretch(prediction, prediction.label, 0.0, end, prediction.confidence)
        return [whole | {"known": prediction.known, "moments": list(map(_moment, prediction.moments))}]
    return [
        _stretch(prediction, found.label, found.start_s, found.end_s, found.score)
        for found in prediction.segments
    ]


def _stretch(
    prediction: Prediction, label: str, start: float, end: float, confidence: float
) -> dict[str, Any]:
    inside = [
        _moment(moment)
        for moment in prediction.moments
        if any(at is not None and start <= at < end for at in (moment.look_at, moment.listen_to))
    ]
    return {
        "start": start,
        "end": end,
        "label": label,
        "confidence": confidence,
        "known": True,
        "moments": inside,
    }


def _moment(moment: Moment) -> dict[str, Any]:
    return {
        "step": moment.step,
        "look_at": moment.look_at,
        "listen_to": moment.listen_to,
        "modality_scores": list(moment.modality_scores),
        "peaks": list(moment.peaks),
    }


def _as_binary(values: Sequence[Any]) -> bytes:
    if values and isinstance(values[0], str):
        texts = [value.encode("utf-8", "replace") for value in values]
        return b"".join(_LENGTH.pack(len(text)) + text for text in texts)
    return np.asarray(values, "<f4").tobytes()


def _object(value: Any, name: str) -> Mapping[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise bad_request(f"{name} must be an object")
    return value


def _objects(value: Any, name: str) -> list[Mapping[str, Any]]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise bad_request(f"{name} must be an array")
    return [_object(entry or {}, f"an entry of {name}") for entry in value]
