"""Numbers and names as people read them."""

from __future__ import annotations

from l2l_engine.result import Prediction, StreamInfo

_JOINERS = "\u200c\u200d\u00a0"
"""Not printable by Python's account, but part of how emoji and some scripts are written."""


def visible(text: str) -> str:
    """``text`` with control, direction and undecodable characters spelled out.

    A file name is whatever bytes the file system holds. Spelled out, it can neither reorder the words
    around it nor break the encoding of the page.
    """
    return "".join(c if c.isprintable() or c in _JOINERS else _spelled(c) for c in text)


def _spelled(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


def clock(seconds: float, decimals: int = 1) -> str:
    """``72.34`` as ``1:12.3``, with hours where there are any."""
    scale = 10**decimals
    units = round(max(0.0, seconds) * scale)
    whole, rest = divmod(units, scale)
    minutes, second = divmod(whole, 60)
    hours, minute = divmod(minutes, 60)
    text = f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"
    return f"{text}.{rest:0{decimals}}" if decimals else text


def percent(share: float) -> str:
    """``0.931`` as ``93.1%``; what is neither nothing nor everything is not rounded to it."""
    if 0 < share < 0.0005:
        return "<0.1%"
    if 0.9995 <= share < 1:
        return ">99.9%"
    return f"{share:.1%}"


def whole_percents(first: float, second: float) -> tuple[str, str]:
    """Two shares of 1 as whole percents that still add up to 100."""
    total = first + second
    part = round(100 * first / total) if total > 0 else 0
    return f"{part}%", f"{100 - part}%"


def duration_of_work(seconds: float) -> str:
    """Wall-clock time: milliseconds below a second."""
    return f"{seconds * 1000:.0f} ms" if seconds < 0.9995 else f"{seconds:.1f} s"


def count(number: int, noun: str, several: str | None = None) -> str:
    """``1 picture``, ``1,204 pictures``; ``several`` where the plural takes more than an s."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {several or noun + 's'}"


def stream(info: StreamInfo) -> str:
    """One line about a stream: codec and the sizes its container declares."""
    parts = [visible(info.codec)]
    if info.width and info.height:
        parts.append(f"{info.width} × {info.height}")
    if info.frame_rate:
        parts.append(f"{info.frame_rate:.4g} frames/s")
    if info.sample_rate:
        parts.append(f"{info.sample_rate / 1000:g} kHz")
    if info.channels:
        parts.append({1: "mono", 2: "stereo"}.get(info.channels, f"{info.channels} channels"))
    return ", ".join(parts)


def file_name(prediction: Prediction) -> str:
    """The file without its folder, which is nobody's business on a page that is passed on."""
    path = prediction.path
    return "features" if path is None else path.rpartition("/")[2] or path
