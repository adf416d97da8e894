"""The study of heads on untrimmed sounds: what its files are made of, and what its page says of scores."""

import numpy as np
import torch

from studies.untrimmed.embeddings import Heard, sound_track
from studies.untrimmed.report import NAMES, Right, page, summarise
from studies.untrimmed.sounds import LONGEST, RATE, SHORTEST, TARGETS, Sounds, join_files

OTHERS = ("clock_tick", "rain")


def made_sounds() -> Sounds:
    """Two sounds a class and fold, each of a level of its own."""
    classes = [name for name in (*TARGETS, *OTHERS) for _ in range(4)]
    waves = np.full((len(classes), 5 * RATE), 0.01, np.float32) * np.arange(1, len(classes) + 1)[:, None]
    folds = np.array([1, 1, 2, 2] * len((*TARGETS, *OTHERS)))
    return Sounds(waves.astype(np.float32), tuple(classes), folds, tuple(map(str, range(len(classes)))))


def test_a_file_has_one_target_and_only_sounds_of_its_fold():
    sounds = made_sounds()
    levels = sounds.waves[:, 0]
    for number, file in enumerate(join_files(sounds, 2, 20)):
        assert file.label == number % len(TARGETS)
        assert sounds.classes[file.target] == TARGETS[file.label]
        assert SHORTEST - 10 < len(file.wave) / RATE < LONGEST + 5
        heard = {int(i) for i, level in enumerate(levels) if (file.wave == level).any()}
        assert {sounds.classes[i] for i in heard} <= {TARGETS[file.label], *OTHERS}
        assert (sounds.folds[list(heard)] == 2).all()
        begin, end = (round(second * RATE) for second in file.span)
        assert (file.wave[begin:end] == levels[file.target]).all()
        assert not (file.wave[:begin] == levels[file.target]).any()
        assert not (file.wave[end:] == levels[file.target]).any()


def test_the_page_says_where_ours_is_behind(tmp_path):
    held_out = {
        fold: [
            Heard(sound_track(torch.zeros(3, 1), torch.ones(3, dtype=torch.bool), i % 5), i % 10)
            for i in range(40)
        ]
        for fold in range(1, 6)
    }
    folder = tmp_path / "scores"
    folder.mkdir()
    right = {"paper": 30, "ours": 38, "probe": 20}
    for fold, files in held_out.items():
        for name, count in (right | ({"paper": 40} if fold == 3 else {})).items():
            labels = np.array([file.track.label for file in files])
            labels[count:] = (labels[count:] + 1) % 5
            for seed in range(2):
                np.savez(folder / f"{name}-{fold}-{seed}-all.npz", **{name: np.eye(5)[labels]})
    checked = {"files": 20, "same_answer": 20, "largest_difference": 1e-5, "moment_inside": 19}
    report = summarise(Right(tmp_path, held_out), checked, ["ours-1-0-all", "ours-1-2-all"])
    rows = {row["name"]: row for row in report["rows"]}
    assert rows.keys() == right.keys()
    assert rows["ours"]["top1"] == 0.95
    assert rows["ours"]["folds"] == dict.fromkeys(("1", "2", "3", "4", "5"), 0.95)
    difference = rows["probe"]["ours_minus_this"]
    assert abs(difference[0] - 0.45) < 1e-9
    assert difference[1] <= difference[0] <= difference[2]
    text = page(report)
    assert f"{NAMES['paper']} in fold 3 by 5.0 points" in text
    assert "| 32 | not run | 75.0 | 95.0 |" not in text  # fold 3 differs
    assert "not run" in text
    assert report["unfinished"] == ["ours-1-2-all"]
    assert "1 were not run" in text
