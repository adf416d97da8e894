"""Which files of a job are one shard's: the same whoever asks, so shards need not speak to each other."""

from __future__ import annotations

import hashlib
import heapq
import re
from collections.abc import Sequence

from l2l_engine.batch.items import Item

BY = ("hash", "bytes")


def parse(text: str) -> tuple[int, int]:
    """Shard I of N from "I/N".

    Raises:
        ValueError: It is not 1 <= I <= N.
    """
    found = re.fullmatch(r"(\d+)/(\d+)", text)
    number, count = (int(found[1]), int(found[2])) if found else (0, 0)
    if not 1 <= number <= count:
        raise ValueError(f"a shard is I/N, from 1/N to N/N, not {text!r}")
    return number, count


def of(uris: Sequence[str], number: int, count: int) -> list[int]:
    """Indices of shard ``number`` (from 1) of ``count``, by a hash of each name: no file is looked at."""
    return [i for i, uri in enumerate(uris) if _hash(uri) % count == number - 1]


def by_bytes(items: Sequence[Item], number: int, count: int) -> list[int]:
    """Indices of shard ``number`` of ``count``, which hold about equally many bytes.

    The longest file comes first, each to the shard that has least so far. All shards must see the same files,
    of the same sizes.
    """
    loads = [(0, shard) for shard in range(count)]
    chosen = []
    for index in sorted(range(len(items)), key=lambda i: (-(items[i].size or 0), items[i].uri)):
        load, shard = heapq.heappop(loads)
        heapq.heappush(loads, (load + (items[index].size or 0), shard))
        if shard == number - 1:
            chosen.append(index)
    return sorted(chosen)


def listing(uris: Sequence[str]) -> str:
    """Hash of all names of a job, whatever their order."""
    return hashlib.sha256("\n".join(sorted(uris)).encode()).hexdigest()


def _hash(uri: str) -> int:
    return int.from_bytes(hashlib.sha256(uri.encode()).digest()[:8], "big")
