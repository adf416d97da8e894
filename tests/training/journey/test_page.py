"""The report on a user's own footage: what the page says of it, to the letter."""

from training.journey.advice import advice
from training.journey.steps import PAGE
from training.pages import render

FOOTAGE = {
    "kept": 27,
    "listed": 53,
    "seconds": 1234.5,
    "without_sound": 4,
    "without_picture": 0,
    "classes": {"dog run": {"train": 3, "test": 1}, "日本": {"train": 20, "validation": 1, "test": 2}},
    "unreadable": {"a/cut.mp4": "a/cut.mp4: cut short"},
    "missing": ["gone.mp4"],
    "repeated": {f"{number}.mp4": "the same as x.mp4" for number in range(23)},
    "no_media": ["list.txt"],
}
SCORE = {
    "videos": 4,
    "top1": 0.5,
    "low": 0.15,
    "high": 0.85,
    "right": 2,
    "chance": 0.5,
    "majority": 0.75,
    "majority_class": "日本",
    "by_class": {"dog run": {"videos": 1, "right": 0}, "日本": {"videos": 3, "right": 2}},
    "how": "ours",
    "folds": 0,
    "groups": 4,
    "rows": [{"name": "the plan", "about": "what | was written", "top1": 0.5, "low": 0.15, "high": 0.85}],
    "confused": [],
    "unsure": None,
}
REPORT = {
    "plan": "my  engine.plan",
    "bytes": 12_345_678,
    "footage": FOOTAGE,
    "not_learnt_from": {},
    "chosen": {"student.pairs": 4},
    "held_out": SCORE,
    "seconds": {"prepare": 1.4, "skim": 12.6},
    "estimate": {"expected": 10.2, "taken": 12.6, "steps": {"skim": 10.2}},
    "alike": {"groups": [], "doubted": 0},
    "notes": [],
    "start": ["Sound: as you like it."],
    "head": [],
    "stages_skipped": {"render": "the footage is there already"},
}


def page(report):
    return render(PAGE, next=advice(report), **report)


def test_the_score_stands_beside_guessing():
    assert (
        "**50 %** of 4 held-out videos are recognised (2 of 4; 95 % interval 15 % to 85 %). "
        "Guessing: 50 %; always saying 日本: 75 %.\n"
    ) in page(REPORT)


def test_what_was_left_out_is_named_by_kind_and_no_longer_than_can_be_read():
    text = page(REPORT)
    assert "\n\nCannot be read (1):\n\n- `a/cut.mp4`: cut short\n\nMissing (1):\n" in text
    assert "- `gone.mp4`: no such file\n" in text
    assert "- `19.mp4`: the same as x.mp4\n- and 3 more\n\n" in text
    assert "(1):\n\n- `list.txt`\n\n## How it was made\n" in text
    assert "| render | skipped: the footage is there already |\n" in text
    assert "# my  engine.plan\n" in text


def test_nothing_left_out_and_nothing_held_out_is_said():
    text = page(REPORT | {"footage": {}, "held_out": {"videos": 0, "how": "ours"}})
    assert "\n\nNo video could be held out, so there is no score.\n\n" in text
    assert "\n\n## What was left out\n\nNothing.\n\n## How it was made\n" in text
    assert "What there was" not in text


def test_rows_estimate_and_start_are_on_the_page():
    text = page(REPORT)
    assert "| the plan | 50.0 % | 15 % to 85 % | what \\| was written |\n" in text
    assert "| chance | 50.0 % | | one of 2 classes |\n" in text
    assert "Estimated before: 10 s for skim; it took 13 s.\n" in text
    assert "## What it begins with\n\n- Sound: as you like it.\n\n" in text
    assert "not told apart" not in text
    assert "unsure" not in text
    assert "What belongs together" not in text


def test_doubt_confusion_and_groups_are_told():
    more = {
        "unsure": {"threshold": 0.43, "wanted": 0.9, "reached": True, "videos": 4, "known": 3, "right": 2},
        "confused": [{"classes": ["cow", "ox"], "videos": 11, "confused": 5}],
        "how": "folds",
        "folds": 5,
        "groups": 3,
    }
    footage = FOOTAGE | {"sources": {"holiday": ["a.mp4", "b.mp4"]}}
    alike = {"groups": [["x.mp4", "y.mp4"]], "doubted": 30}
    text = page(REPORT | {"held_out": SCORE | more, "footage": footage, "alike": alike})
    assert (
        "below 0.43 is called unsure (`Prediction.known` is false). Of the held-out videos that is 25 %;"
        in text
    )
    assert "2 of 3 are right. Of videos to learn from, held out in turn" in text
    assert "- cow and ox: 5 of 11 videos were taken for the other\n" in text
    assert "held out in turn, in 5 folds" in text
    assert "They come from 3 recordings" in text
    assert "- `holiday`, by their names: 2 files\n" in text
    assert "- alike in what is seen and heard: `x.mp4`, `y.mp4`\n" in text
    assert "- 30 videos are so much alike" in text
