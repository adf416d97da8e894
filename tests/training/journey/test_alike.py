"""Near-duplicates are found by what they look and sound like, and crowds of them are not believed."""

import torch

from training.journey.alike import Means, near_duplicates, united


def means(image, audio=None, *, has_audio=None, classes=3):
    count = len(image)
    return Means(
        [f"v{n}" for n in range(count)],
        [str(n % classes) for n in range(count)],
        image,
        torch.randn(count, 16) if audio is None else audio,
        torch.ones(count, dtype=torch.bool),
        torch.zeros(count, dtype=torch.bool) if has_audio is None else has_audio,
    )


def embeddings(count=60, size=64, classes=3):
    """Videos of three classes around a common mean, as the mean features of networks are."""
    classes_at = torch.randn(classes, size)
    return 5 + torch.stack([classes_at[n % classes] + torch.randn(size) for n in range(count)])


def near(rows, *pairs):
    rows = rows.clone()
    for one, other in pairs:
        rows[other] = rows[one] + 0.1 * torch.randn(rows.shape[1])
    return rows


def test_cuts_of_one_recording_are_found_and_others_of_their_class_are_not():
    found = near_duplicates(means(near(embeddings(), (0, 3), (3, 7), (10, 41))))
    assert found.groups == [["v0", "v3", "v7"], ["v10", "v41"]]
    assert found.doubted == []


def test_the_same_picture_with_another_sound_is_another_video():
    heard = torch.ones(60, dtype=torch.bool)
    image, audio = near(embeddings(), (0, 3), (10, 40)), near(embeddings(size=32), (10, 40), (20, 21))
    assert near_duplicates(means(image, audio, has_audio=heard)).groups == [["v10", "v40"]]
    heard[0] = False
    assert near_duplicates(means(image, audio, has_audio=heard)).groups == [["v0", "v3"], ["v10", "v40"]]


def test_a_crowd_is_doubted():
    rows = embeddings()
    rows[::3] = rows[0] + 0.1 * torch.randn(20, rows.shape[1])
    found = near_duplicates(means(rows))
    assert found.groups == []
    assert [len(group) for group in found.doubted] == [20]


def test_of_a_few_videos_nothing_is_said():
    assert near_duplicates(means(torch.ones(4, 8))).groups == []


def test_groups_by_name_are_joined_by_what_is_alike():
    groups = {"v1": "a", "v2": "a", "v3": "c", "v4": "d", "v5": "e"}
    assert united(groups, [["v2", "v4"], ["v3", "v5"]]) == {
        v: "c" if v in ("v3", "v5") else "a" for v in groups
    }
    assert united(groups, []) == groups
