"""Caches are made anew when the code that fills them changes, and only then."""

import importlib
import sys

import pytest

from training.clips.pairs import _read_pairs
from training.runs.code import code_fingerprint

FILES = {
    "__init__.py": "",
    "cached.py": '''
from __future__ import annotations
from toy.below import helper as help_me, Base, unused
from toy import tools
SIZE = 3
KINDS = {"one": lambda x: tools.scale(x)}

class Derived(Base):
    """A text."""
    def work(self, x):
        return help_me(x)

def features(x, given: Given):
    """What is cached."""
    from toy.late import late
    return Derived().work(x) + SIZE + given.value() + late(KINDS["one"](x))

class Given:
    def value(self):
        return 1

def unrelated():
    return 1
''',
    "below.py": "def helper(x):\n    return deeper(x)\n\ndef deeper(x):\n    return x\n\n"
    "class Base:\n    start = 1\n\ndef unused():\n    return 2\n",
    "tools.py": "def scale(x):\n    return x\n\ndef other(x):\n    return x\n",
    "late.py": "def late(x):\n    return x\n",
}


@pytest.fixture
def toy(tmp_path, monkeypatch):
    """A package of which one function is the root; gives its fingerprint after a change of the text."""
    folder = tmp_path / "toy"
    folder.mkdir()
    for name, text in FILES.items():
        (folder / name).write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.invalidate_caches()
    root = importlib.import_module("toy.cached").features

    def after(name, old, new):
        assert old in FILES[name]
        (folder / name).write_text(FILES[name].replace(old, new))
        found = code_fingerprint(root, packages=("toy",))
        (folder / name).write_text(FILES[name])
        return found

    yield after
    for name in [name for name in sys.modules if name.partition(".")[0] == "toy"]:
        del sys.modules[name]


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("cached.py", "SIZE = 3", "SIZE = 4"),
        ("cached.py", "work(x) +", "work(x) -"),
        ("cached.py", "help_me(x)", "help_me(x, 1)"),
        ("cached.py", "return 1\n\ndef unrelated", "return 2\n\ndef unrelated"),  # by its annotation
        ("below.py", "return deeper(x)", "return -deeper(x)"),
        ("below.py", "return x", "return 2 * x"),
        ("below.py", "start = 1", "start = 2"),
        ("tools.py", "def scale(x):\n    return x", "def scale(x):\n    return -x"),
        ("late.py", "return x", "return -x"),
    ],
)
def test_a_change_of_what_is_used_changes_it(toy, name, old, new):
    assert toy(name, old, new) != toy(name, old, old)


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("cached.py", "def unrelated():\n    return 1", "def unrelated():\n    return 2"),
        ("cached.py", "SIZE = 3", "# three\nSIZE = (3)"),
        ("cached.py", "What is cached.", "Another text."),
        ("below.py", "return 2", "return 3"),
        ("tools.py", "def other(x):\n    return x", "def other(x):\n    return -x"),
    ],
)
def test_a_change_of_anything_else_does_not(toy, name, old, new):
    assert toy(name, old, new) == toy(name, old, old)


def test_what_decodes_pairs_reaches_the_decoder(monkeypatch):
    import training.runs.code as code

    before, read = code_fingerprint(_read_pairs), code._source

    def change(module, old, new):
        def source(name):
            text = read(name)
            if name != module:
                return text
            assert old in text
            return text.replace(old, new)

        monkeypatch.setattr(code, "_source", source)
        return code_fingerprint(_read_pairs)

    assert change("l2l_engine.media.frames", "walker.end + CUT_SHORT", "walker.end") != before
    assert change("l2l_engine.media.folders", "SUFFIXES =", "SUFFIXES = 1,") == before
    assert change("training.videos.segments", "math.ceil", "math.floor") != before
    assert change("training.clips.pairs", "_SHIFT = 0.1", "_SHIFT = 0.2") != before
    assert change("training.clips.pairs", "count = count or config.student.pairs", "count = 1") == before


def test_functions_of_others_count_by_their_name():
    assert code_fingerprint(len) != code_fingerprint(repr)
