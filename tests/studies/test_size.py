"""Lines of code by room."""

import subprocess

from studies.size import count, table


def test_tracked_code_is_counted_by_room(tmp_path):
    files = {
        "setup.toml": 1,
        "engine/a.py": 2,
        "engine/media/b.py": 3,
        "engine/media/deep/c.cpp": 4,
        "tests/media/d.py": 5,
        "engine/prose.md": 100,
    }
    for name, lines in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x\n" * lines)
    git = ["git", "-C", str(tmp_path)]
    subprocess.run([*git, "init", "-q"], check=True)
    subprocess.run([*git, "add", "."], check=True)
    (tmp_path / "engine" / "untracked.py").write_text("x\n" * 100)
    lines = count(tmp_path)
    assert lines == {(): 1, ("engine",): 2, ("engine", "media"): 7, ("tests", "media"): 5}
    rows = dict(row.rsplit(maxsplit=1) for row in table(lines).splitlines() if row)
    assert rows == {
        ".": "1",
        "engine": "9",
        "  engine/media": "7",
        "tests": "5",
        "  tests/media": "5",
        "product": "10",
        "all": "15",
    }
