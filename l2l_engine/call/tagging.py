"""From the scores of moments to what a person asked: which tags, how sure, and when."""

from __future__ import annotations

import numpy as np

from l2l_engine.plan import PREFIXES, PlanDocument
from l2l_engine.result import FloatArray, Tag
from l2l_engine.run.compute import Bank
from l2l_engine.skim.tagging import scored_chunks

MOMENTS = 5
"""Moments named of one tag."""
SHARE = 0.5
"""Of a tag's highest score, that a moment must have to be named with it."""


def tags_of(
    modality: str, bank: Bank | None, probabilities: FloatArray, document: PlanDocument, top_k: int
) -> tuple[Tag, ...]:
    """Name what was seen or heard, highest score first; background, such as silence, is no such thing.

    Args:
        modality: "image" or "audio".
        bank: Logits [M, K] of the tags at M moments; None where there are none.
        probabilities: float32 [C], of all classes, which are the tags of both modalities.
        document: Of a plan of tags.
        top_k: Tags to name; all of them if there are fewer.
    """
    tags = (document.tags or {}).get(modality)
    if tags is None or bank is None:
        return ()
    first = document.classes.index(f"{PREFIXES[modality]}{tags.names[0]}")
    own = probabilities[first : first + len(tags.names)]
    named = document.foreground - first
    named = named[(named >= 0) & (named < len(own))]
    chosen = named[np.argsort(-own[named], kind="stable")][:top_k]
    moments = np.concatenate([rows[:, chosen] for rows in scored_chunks(bank.features, tags.output)])
    found = []
    for number, scores in zip(chosen, moments.T, strict=True):
        order = np.argsort(-scores, kind="stable")[:MOMENTS]
        strong = order[scores[order] >= SHARE * scores[order[0]]]
        found.append(Tag(tags.names[number], float(own[number]), tuple(bank.times[strong].tolist())))
    return tuple(found)
