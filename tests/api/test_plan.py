from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import ml_dtypes
import numpy as np
import onnx
import pytest
import safetensors.numpy
from onnx import helper

from l2l_engine.errors import L2LError, PlanError, PlanNotFoundError
from l2l_engine.plan import PlanDocument, SkimSettings, read_plan, write_plan
from tests.api.plans import DOCUMENT, header_size, random_skim, refused, rewrite, write_small_plan

GRAPHS = {"image.fp32": b"i", "audio.fp32": b"a"}


@pytest.fixture
def plan_file(tmp_path: Path) -> Path:
    path = tmp_path / "small.plan"
    write_small_plan(path)
    return path


def test_round_trip(plan_file: Path) -> None:
    plan = read_plan(plan_file)
    assert plan.document == DOCUMENT
    assert plan.graphs == {"image.fp32": b"no graph", "audio.fp32": b"no graph"}
    assert plan.dimensions.feature == 12
    for name, weight in random_skim().items():
        np.testing.assert_array_equal(plan.skim[name], weight)
    assert not plan.skim["fusion.0.weight"].flags.writeable


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16])
def test_half_precision_weights(tmp_path: Path, dtype: type) -> None:
    skim = {name: weight.astype(dtype) for name, weight in random_skim().items()}
    write_plan(tmp_path / "half.plan", DOCUMENT, graphs=GRAPHS, skim=skim)
    read = read_plan(tmp_path / "half.plan").skim
    for name, weight in skim.items():
        assert read[name].dtype == dtype
        np.testing.assert_array_equal(read[name].astype(np.float32), weight.astype(np.float32))


def test_same_content_same_bytes(tmp_path: Path) -> None:
    write_small_plan(tmp_path / "a.plan")
    write_small_plan(tmp_path / "b.plan")
    assert (tmp_path / "a.plan").read_bytes() == (tmp_path / "b.plan").read_bytes()


def test_writing_leaves_no_temporary_file(plan_file: Path) -> None:
    assert list(plan_file.parent.iterdir()) == [plan_file]


def test_a_plan_that_does_not_add_up_is_not_written(plan_file: Path) -> None:
    before = plan_file.read_bytes()
    skim = random_skim()
    skim["classifier.weight"] = skim["classifier.weight"][:2]
    with pytest.raises(PlanError, match="classifier"):
        write_plan(plan_file, DOCUMENT, graphs=GRAPHS, skim=skim)
    assert plan_file.read_bytes() == before


def test_truncation_at_every_byte_of_the_header_is_refused(plan_file: Path) -> None:
    data = plan_file.read_bytes()
    for size in range(header_size(data) + 1):
        refused(plan_file, data[:size])


def test_truncated_or_lengthened_data_is_refused(plan_file: Path) -> None:
    data = plan_file.read_bytes()
    for size in (header_size(data) + 1, (header_size(data) + len(data)) // 2, len(data) - 1):
        refused(plan_file, data[:size])
    refused(plan_file, data + b"\0")


def test_a_flipped_bit_in_any_section_is_refused(plan_file: Path) -> None:
    data = plan_file.read_bytes()
    start = header_size(data)
    table = json.loads(data[8:start])
    table.pop("__metadata__")
    for entry in table.values():
        begin, end = entry["data_offsets"]
        for offset in (begin, (begin + end) // 2, end - 1):
            flipped = bytearray(data)
            flipped[start + offset] ^= 0x10
            assert "damaged" in refused(plan_file, bytes(flipped))


def test_a_flipped_bit_anywhere_in_the_header_never_changes_what_is_read(plan_file: Path) -> None:
    data = plan_file.read_bytes()
    good = read_plan(plan_file)
    accepted = 0
    for offset in range(header_size(data)):
        flipped = bytearray(data)
        flipped[offset] ^= 1 << (offset % 8)
        plan_file.write_bytes(flipped)
        try:
            plan = read_plan(plan_file)
        except PlanError:
            continue
        accepted += 1  # white space between JSON tokens, at most
        assert plan.document == good.document
        assert plan.tensors == good.tensors
    assert accepted <= 16


@pytest.mark.parametrize(
    ("change", "value", "message"),
    [
        (("format_version",), 3, "version 3"),
        (("format_version",), "1", "version '1'"),
        (("surprise",), 1, "surprise"),
        (("classes",), ["a", "b"], "2 classes"),
        (("classes",), ["a", "a", "b"], "twice"),
        (("classes",), [], "classes"),
        (("classes",), [1, 2, 3], "classes"),
        (("classes",), ["a", "b", "\ud800"], "classes"),
        (("calibration",), [10**400], "calibration"),
        (("media", "hop"), 10**400, "hop"),
        (("media", "hop"), float("nan"), "JSON"),
        (("output",), "magic", "output"),
        (("calibration",), [0.0], "calibration"),
        (("calibration",), [True], "calibration"),
        (("media", "hop"), 0, "hop"),
        (("media", "hop"), "fast", "hop"),
        (("media", "crop"), 4096, "crop"),
        (("media", "window"), 1e9, "window"),
        (("sampling",), None, "sampling"),
        (("sampling", "factor"), 0, "factor"),
        (("skim", "steps"), 10**9, "steps"),
        (("skim", "preset"), "released", "query_image"),
        (("skim", "preset"), "paired", "pair_image"),
        (("modalities",), ["image"], "fusion.0"),
        (("modalities",), ["smell"], "modalities"),
        (("tensors",), {}, "table"),
    ],
)
def test_a_document_that_does_not_add_up_is_refused(
    plan_file: Path, change: tuple[str, ...], value: object, message: str
) -> None:
    assert message in refused(plan_file, rewrite(plan_file, change, value))


def test_what_a_preset_does_not_know_is_refused() -> None:
    for settings in ({"key_activation": "relu"}, {"exclude_previous_argmax": True}):
        with pytest.raises(PlanError, match="preset paired has affine keys and no exclusion"):
            SkimSettings(preset="paired", **settings)  # type: ignore[arg-type]


def save_tensors(path: Path, tensors: dict[str, np.ndarray]) -> bytes:
    """Other tensors under the old document, its table and hashes made right for them."""
    data = path.read_bytes()
    document = json.loads(json.loads(data[8 : header_size(data)])["__metadata__"]["l2l"])
    names = {"float32": "F32", "uint8": "U8", "float64": "F64"}
    document["tensors"] = {
        name: {
            "dtype": names[array.dtype.name],
            "shape": list(array.shape),
            "sha256": hashlib.sha256(array.tobytes()).hexdigest(),
        }
        for name, array in tensors.items()
    }
    text = json.dumps(document)
    metadata = {"l2l": text, "l2l_sha256": hashlib.sha256(text.encode()).hexdigest()}
    return safetensors.numpy.save(tensors, metadata=metadata)


def test_shapes_that_do_not_add_up_are_refused(plan_file: Path) -> None:
    tensors = safetensors.numpy.load(plan_file.read_bytes())
    for name in [name for name in tensors if name.startswith("skim.")]:
        wrong = tensors | {name: np.concatenate([tensors[name], tensors[name][:1]])}
        refused(plan_file, save_tensors(plan_file, wrong))
        refused(plan_file, save_tensors(plan_file, {k: v for k, v in tensors.items() if k != name}))


def test_odd_tensors_are_refused(plan_file: Path) -> None:
    tensors = safetensors.numpy.load(plan_file.read_bytes())
    weight = tensors["skim.fusion.0.weight"]
    nan = weight.copy()
    nan[0, 0] = np.nan
    odd: list[dict[str, np.ndarray]] = [
        {"skim.extra": weight},
        {"graph.image.fp64": np.zeros(3, np.uint8)},
        {"graph.image.fp32": np.zeros(3, np.float32)},
        {"pickle.image": np.zeros(3, np.uint8)},
        {"skim.fusion.0.weight": weight.astype(np.float64)},
        {"skim.fusion.0.weight": nan},
        {"skim.fusion.0.weight": np.zeros((0, 24), np.float32)},
    ]
    for change in odd:
        refused(plan_file, save_tensors(plan_file, tensors | change))
    without = {name: array for name, array in tensors.items() if name != "graph.audio.fp32"}
    assert "graph.audio.fp32" in refused(plan_file, save_tensors(plan_file, without))


def tensor(**fields: object) -> onnx.TensorProto:
    weight = onnx.numpy_helper.from_array(np.zeros(3, np.float32), "weight")
    if fields:
        onnx.external_data_helper.set_external_data(weight, **fields)  # type: ignore[arg-type]
        weight.ClearField("raw_data")
    return weight


def hidden(weight: onnx.TensorProto, where: str) -> bytes:
    """A graph in which the tensor lies somewhere that those who load it would find it."""
    constant = helper.make_node("Constant", [], ["c"], value=weight)
    inner = helper.make_graph([constant], "inner", [], [])
    sparse = helper.make_sparse_tensor(
        weight, helper.make_tensor("indices", onnx.TensorProto.INT64, [3], [0, 1, 2]), [9]
    )
    opset = [helper.make_opsetid("", 17)]
    graphs = {
        "initializer": helper.make_graph([], "g", [], [], [weight]),
        "attribute": helper.make_graph([constant], "g", [], []),
        "tensors": helper.make_graph([helper.make_node("N", [], [], values=[weight])], "g", [], []),
        "branch": helper.make_graph([helper.make_node("If", ["x"], ["y"], then_branch=inner)], "g", [], []),
        "branches": helper.make_graph([helper.make_node("N", [], [], graphs=[inner])], "g", [], []),
        "sparse": helper.make_graph([], "g", [], [], sparse_initializer=[sparse]),
        "sparse value": helper.make_graph([helper.make_node("N", [], [], sparse_value=sparse)], "g", [], []),
    }
    model = helper.make_model(graphs.get(where, helper.make_graph([], "g", [], [])))
    if where == "function":
        model.functions.append(helper.make_function("d", "f", [], [], [constant], opset))
    if where == "default":
        function = helper.make_function("d", "f", [], [], [], opset)
        function.attribute_proto.append(helper.make_attribute("a", weight))
        model.functions.append(function)
    if where == "training":
        model.training_info.add().algorithm.CopyFrom(inner)
    return model.SerializeToString()


PLACES = (
    "initializer", "attribute", "tensors", "branch", "branches", "sparse", "sparse value", "function",
    "default", "training",
)  # fmt: skip


@pytest.mark.parametrize("where", PLACES)
@pytest.mark.parametrize("file", ["/etc/passwd", "weights.bin"])
def test_a_graph_that_reads_another_file_is_refused(plan_file: Path, where: str, file: str) -> None:
    """What is written is checked as what is read is."""
    skim = random_skim()
    write_plan(plan_file, DOCUMENT, graphs=GRAPHS | {"image.fp32": hidden(tensor(), where)}, skim=skim)
    odd = {"image.fp32": hidden(tensor(location=file), where)}
    with pytest.raises(PlanError, match=r"graph\.image\.fp32 keeps weights in another file"):
        write_plan(plan_file, DOCUMENT, graphs=GRAPHS | odd, skim=skim)


def test_no_spelling_hides_it(plan_file: Path) -> None:
    """Protobuf takes numbers longer than need be, fields that it does not know, and groups of them."""
    plain = hidden(tensor(location="x"), "initializer")
    for odd in (
        b"\xba\x80\x80\x00" + plain[plain.index(b"\x3a") + 1 :],
        b"\xfb\x3e\x08\x01\xfc\x3e" + plain,
        b"\xf9\x3e" + bytes(8) + b"\xfd\x3e" + bytes(4) + plain,
    ):
        onnx.ModelProto.FromString(odd)
        with pytest.raises(PlanError, match="keeps weights in another file"):
            write_plan(plan_file, DOCUMENT, graphs=GRAPHS | {"image.fp32": odd}, skim=random_skim())


@pytest.mark.parametrize(
    "graph", [b"", b"\x3a", b"\x3a\xff\xff", b"\xff" * 40, b"\x3e", b"\x3a\x05ab", b"\x09"]
)
def test_what_is_no_onnx_is_left_to_its_reader(plan_file: Path, graph: bytes) -> None:
    write_plan(plan_file, DOCUMENT, graphs=GRAPHS | {"image.fp32": graph}, skim=random_skim())


def test_no_plan_at_all(tmp_path: Path) -> None:
    with pytest.raises(PlanNotFoundError, match=r"gone\.plan") as caught:
        read_plan(tmp_path / "gone.plan")
    assert isinstance(caught.value, FileNotFoundError)
    assert isinstance(caught.value, L2LError)
    with pytest.raises(PlanError):
        read_plan(tmp_path)
    os.mkfifo(tmp_path / "pipe.plan")
    with pytest.raises(PlanError, match="regular"):
        read_plan(tmp_path / "pipe.plan")
    refused(tmp_path / "pickle.plan", b"\x80\x04\x95" + b"\0" * 100)
    other = safetensors.numpy.save({"a": np.zeros(3, np.float32)})
    assert "no plan" in refused(tmp_path / "other.safetensors", other)


def test_duplicated_keys_cannot_smuggle_a_second_document(plan_file: Path) -> None:
    data = plan_file.read_bytes()
    header = data[8 : header_size(data)].rstrip()
    doubled = header[:-1] + b',"__metadata__":{"l2l":"{}"}}'
    refused(plan_file, len(doubled).to_bytes(8, "little") + doubled + data[header_size(data) :])


def test_temperature_of_the_last_step_holds_for_more() -> None:
    assert [DOCUMENT.temperature(s) for s in (1, 2, 4, 9)] == [1.5, 1.25, 1.0, 1.0]
    assert PlanDocument(classes=("a",), skim=SkimSettings()).temperature(3) == 1.0
