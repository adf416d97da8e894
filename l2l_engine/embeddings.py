"""Features of files kept in one, Parquet or NumPy's .npz: what comes back is what went in, bit for bit.

A row of Parquet is a moment of one modality, or, where ``seconds`` is null, the mean of a file's moments:

    path string, plan string, modality string, seconds double, feature list<float>,
    timestamps int32, hop double, decoder string

The last three say of the file how many moments attention is spread over, how far apart, and what decoded it.
An .npz has ``plan``, ``hop``, by file ``path``, ``timestamps`` and ``decoder``, and by modality, such as
"image", ``image_file`` (the number of the file), ``image_seconds`` (NaN of a mean) and ``image_feature``.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from l2l_engine.errors import L2LError
from l2l_engine.files import write_whole
from l2l_engine.result import Features, FloatArray, TimeArray

VERSION = 1
"""Of both forms; it counts up when a column changes its meaning or its type, or goes."""

MODALITIES = ("image", "audio")


class FeaturesError(L2LError, ValueError):
    """A file of features that is none, or of another version or plan."""


@dataclass(frozen=True, slots=True, eq=False)
class FileFeatures:
    """The features of one file.

    Attributes:
        path: The name it was given by.
        features: As :meth:`l2l_engine.Classifier.features` gives them, in NumPy.
    """

    path: str
    features: Features

    def pooled(self, modality: str) -> FloatArray | None:
        """The mean float32 [D] over the moments of a modality; None where there are none."""
        bank = getattr(self.features, f"{modality}_bank")
        return None if bank is None else _mean(bank)


def write(target: Path, files: Iterable[FileFeatures], *, plan: str, hop: float) -> int:
    """Write features of files, whole or not at all.

    Args:
        target: A name that ends in .parquet or .npz.
        files: Taken one by one; what they raise leaves ``target`` as it was.
        plan: The hash of the plan that made them, ``Plan.sha256``.
        hop: Its seconds between timestamps.

    Returns:
        Files written.

    Raises:
        FeaturesError: The name ends otherwise, a file is there twice, or timestamps are not ``hop`` apart.
        OSError: It cannot be written.
    """
    writers = {".parquet": _write_parquet, ".npz": _write_npz}
    if target.suffix not in writers:
        raise FeaturesError(f"{target}: features go into {' or '.join(writers)}")
    return writers[target.suffix](target, _checked(files, hop), plan, hop)


def read(source: Path, *, plan: str | None = None) -> dict[str, Features]:
    """Read features of files.

    Args:
        source: A file that :func:`write` made.
        plan: The hash of the plan that will be asked; None for any.

    Returns:
        By path, in the order in which they were written; as :meth:`Classifier.predict_features` takes them.

    Raises:
        FeaturesError: It is no such file, or its features are another plan's.
        OSError: It cannot be read.
    """
    with source.open("rb") as file:
        is_parquet = file.read(4) == b"PAR1"
    try:
        made, found = _read_parquet(source) if is_parquet else _read_npz(source)
    except KeyError as error:
        raise FeaturesError(f"{source}: not a file of features: it lacks {error}") from error
    if plan is not None and made != plan:
        raise FeaturesError(f"{source}: features of the plan {made[:12]}, not of {plan[:12]}")
    return found


def _checked(files: Iterable[FileFeatures], hop: float) -> Iterator[FileFeatures]:
    seen = set[str]()
    for file in files:
        if file.path in seen:
            raise FeaturesError(f"{file.path} is there twice")
        seen.add(file.path)
        if not np.array_equal(file.features.timestamps, _timestamps(len(file.features.timestamps), hop)):
            raise FeaturesError(f"{file.path}: its timestamps are not {hop} s apart")
        yield file


def _timestamps(count: int, hop: float) -> TimeArray:
    return np.arange(count, dtype=np.float64) * hop


def _mean(bank: FloatArray) -> FloatArray:
    return np.asarray(bank.mean(axis=0, dtype=np.float64), np.float32)


def _banks(file: FileFeatures) -> Iterator[tuple[str, TimeArray, FloatArray]]:
    """By modality the seconds, of the mean NaN, and the features, the mean last."""
    kept = file.features
    for modality in MODALITIES:
        bank, times = getattr(kept, f"{modality}_bank"), getattr(kept, f"{modality}_times")
        if bank is not None:
            bank = np.asarray(bank, np.float32)
            yield modality, np.append(times, np.nan), np.concatenate([bank, _mean(bank)[None]])


def _features(
    banks: dict[str, tuple[TimeArray, FloatArray]], timestamps: int, hop: float, decoder: str
) -> Features:
    """What :func:`_banks` took apart."""
    kept: dict[str, Any] = {
        f"{modality}_{what}": None for modality in MODALITIES for what in ("bank", "times")
    }
    for modality, (seconds, features) in banks.items():
        moments = ~np.isnan(seconds)
        kept[f"{modality}_times"] = seconds[moments]
        kept[f"{modality}_bank"] = np.ascontiguousarray(features[moments])
    return Features(**kept, timestamps=_timestamps(timestamps, hop), decoder=decoder)


def _printable(path: str) -> str:
    """A path that Unicode can hold: bytes that are no text are written as escapes."""
    return path.encode("utf-8", "backslashreplace").decode()


def _arrow(file: Path) -> tuple[Any, Any]:
    """PyArrow and its Parquet, an extra."""
    try:
        import pyarrow as pa  # noqa: PLC0415
        import pyarrow.parquet as pq  # noqa: PLC0415
    except ImportError as error:
        raise FeaturesError(f"{file}: Parquet needs pip install 'l2l_engine[parquet]': {error}") from error
    return pa, pq


def _write_parquet(target: Path, files: Iterator[FileFeatures], plan: str, hop: float) -> int:
    pa, pq = _arrow(target)

    kinds = {"path": pa.string(), "plan": pa.string(), "modality": pa.string(), "seconds": pa.float64()}
    kinds |= {"feature": pa.list_(pa.float32()), "timestamps": pa.int32(), "hop": pa.float64()}
    schema = pa.schema([*kinds.items(), ("decoder", pa.string())], {"l2l.features": str(VERSION)})
    count = 0

    def table(file: FileFeatures, modality: str, seconds: TimeArray, features: FloatArray) -> Any:
        ends = np.arange(len(features) + 1, dtype=np.int32) * features.shape[1]
        same = {"path": _printable(file.path), "plan": plan, "modality": modality, "hop": hop}
        same |= {"timestamps": len(file.features.timestamps), "decoder": file.features.decoder}
        columns = {
            name: pa.repeat(pa.scalar(value, schema.field(name).type), len(seconds))
            for name, value in same.items()
        }
        columns["seconds"] = pa.array(seconds, from_pandas=True)  # NaN is null
        columns["feature"] = pa.ListArray.from_arrays(ends, pa.array(features.ravel()))
        return pa.table({name: columns[name] for name in schema.names}, schema=schema)

    def put(out: Any) -> None:
        nonlocal count
        with pq.ParquetWriter(out, schema, compression="zstd") as writer:
            for count, file in enumerate(files, 1):  # noqa: B007 - told in the end
                for bank in _banks(file):
                    writer.write_table(table(file, *bank))

    write_whole(target, put)
    return count


def _read_parquet(source: Path) -> tuple[str, dict[str, Features]]:
    pa, pq = _arrow(source)

    try:
        opened = pq.ParquetFile(source)
    except pa.ArrowInvalid as error:
        raise FeaturesError(f"{source}: not a Parquet file: {error}") from error
    _check(source, (opened.schema_arrow.metadata or {}).get(b"l2l.features"))
    plan, banks = "", dict[tuple[str, str], list[tuple[TimeArray, FloatArray]]]()
    told: dict[str, tuple[int, float, str]] = {}
    for batch in opened.iter_batches():
        lists = batch.column("feature")
        ends = lists.offsets.to_numpy()
        flat = lists.values.to_numpy()
        seconds = batch.column("seconds").to_numpy(zero_copy_only=False)
        keys = list(zip(batch.column("path").to_pylist(), batch.column("modality").to_pylist(), strict=True))
        begins = [at for at in range(len(keys)) if at == 0 or keys[at] != keys[at - 1]]
        for first, stop in zip(begins, [*begins[1:], len(keys)], strict=True):
            features = flat[ends[first] : ends[stop]].reshape(stop - first, -1)
            banks.setdefault(keys[first], []).append((seconds[first:stop], features))
            row = batch.slice(first, 1).to_pylist()[0]
            told[row["path"]] = row["timestamps"], row["hop"], row["decoder"]
            plan = row["plan"]
    whole = {
        key: (np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts]))
        for key, parts in banks.items()
    }
    return plan, {
        path: _features({m: whole[path, m] for m in MODALITIES if (path, m) in whole}, *numbers)
        for path, numbers in told.items()
    }


def _write_npz(target: Path, files: Iterator[FileFeatures], plan: str, hop: float) -> int:
    paths, counts, decoders = list[str](), list[int](), list[str]()
    banks: dict[str, list[tuple[NDArray[np.int32], TimeArray, FloatArray]]] = {}
    for number, file in enumerate(files):
        paths.append(_printable(file.path))
        counts.append(len(file.features.timestamps))
        decoders.append(file.features.decoder)
        for modality, seconds, features in _banks(file):
            of = np.full(len(seconds), number, np.int32)
            banks.setdefault(modality, []).append((of, seconds, features))
    arrays: dict[str, NDArray[Any]] = {"l2l_features": np.array(VERSION), "plan": np.array(plan)}
    arrays |= {"hop": np.array(hop), "path": np.array(paths, np.str_), "decoder": np.array(decoders, np.str_)}
    arrays["timestamps"] = np.array(counts, np.int32)
    for modality, parts in banks.items():
        for what, columns in zip(("file", "seconds", "feature"), zip(*parts, strict=True), strict=True):
            arrays[f"{modality}_{what}"] = np.concatenate(columns)
    write_whole(target, lambda out: np.savez(out, **arrays))  # type: ignore[arg-type]
    return len(paths)


def _read_npz(source: Path) -> tuple[str, dict[str, Features]]:
    try:
        with source.open("rb") as file, np.load(file, allow_pickle=False) as opened:
            arrays = dict(opened)
    except (ValueError, EOFError, zipfile.BadZipFile) as error:
        raise FeaturesError(f"{source}: not a file of features: {error}") from error
    _check(source, arrays.get("l2l_features"))
    found: dict[str, Features] = {}
    for number, path in enumerate(arrays["path"].tolist()):
        banks = {}
        for modality in MODALITIES:
            if f"{modality}_file" in arrays and (of := arrays[f"{modality}_file"] == number).any():
                banks[modality] = arrays[f"{modality}_seconds"][of], arrays[f"{modality}_feature"][of]
        count, decoder = int(arrays["timestamps"][number]), str(arrays["decoder"][number])
        found[path] = _features(banks, count, float(arrays["hop"]), decoder)
    return str(arrays["plan"]), found


def _check(source: Path, version: object) -> None:
    said = version.decode() if isinstance(version, bytes) else str(version)
    if said != str(VERSION):
        raise FeaturesError(f"{source}: not features of version {VERSION}")
