"""What is claimed follows from the numbers, and what was not run says so."""

import json
from dataclasses import replace

import pytest
from jinja2 import UndefinedError

from training.config import Config
from training.pages import ROOT, render
from training.tables.expectations import at_least, expectations
from training.tables.page import markdown
from training.tables.provenance import provenance

TRAINED = "training/tables/provenance.md.j2"


def row(name, top1, gmac=1.0):
    more = {"low": top1, "high": top1, "map": top1, "seconds": 0.0, "ece": 0.0}
    return {"method": name, "top1": top1, "gmac": gmac, **more}


def report(**changes):
    video = [
        row("ours (sparse)", 0.90, 2.0),
        row("DENSE", 0.85, 8.0),
        row("SCSAMPLER", 0.9),
        {"method": "LSTM"},
    ]
    steps = [row("", share) | {"steps": n} for n, share in enumerate((0.2, 0.5, 0.89, 0.9), 1)]
    factors = [row("", 0.92) | {"factor": 1}, row("", 0.90) | {"factor": 5}]
    whole = {
        "video": video,
        "curves": {"steps": {"ours (sparse)": steps}, "factors": factors},
        "differences": {"SCSAMPLER": {"points": 0.0, "low": -1.0, "high": 1.0}},
    }
    return whole | changes


def verdicts(numbers):
    return {item["claim"]: item["met"] for item in expectations(numbers)}


def test_verdicts_by_hand():
    found = verdicts(report())
    assert found["ours (sparse) beats DENSE by at least 5 points at no more than 1/4 of its GMAC"] is True
    assert found["ours (sparse) beats SCSAMPLER"] is False
    assert found["ours (sparse) beats LSTM"] is None
    assert found["three steps are within 1 point of ten, ours (sparse)"] is True
    assert found["three steps are within 1 point of ten, ours (dense)"] is None
    assert found["factor 5 is within 1 point of dense"] is False


def test_both_skimmers_are_judged_where_ours_is_not_the_papers():
    def ahead(*points):
        return dict(zip(("SCSAMPLER", "LSTM", "NON-RECURRENT"), map(gap, points), strict=False))

    def gap(points):
        return {"points": points, "low": points, "high": points}

    shares = {
        "ours (sparse)": 0.9,
        "paper (sparse)": 0.7,
        "SCSAMPLER": 0.6,
        "LSTM": 0.8,
        "NON-RECURRENT": 0.75,
    }
    video = [row(name, share) for name, share in (shares | {"NON-RECURRENT, paired": 0.95}).items()]
    differences = ahead(30, 10, 15) | {"NON-RECURRENT, paired": gap(-5)}
    found = verdicts(report(video=video, differences=differences, differences_of_paper=ahead(10, -10, -5)))
    for name, expected in (("ours", (True, True, True)), ("paper", (True, False, False))):
        rivals = ("SCSAMPLER", "LSTM", "NON-RECURRENT")
        assert tuple(found[f"{name} (sparse) beats {other}"] for other in rivals) == expected
    assert found["ours (sparse) beats NON-RECURRENT, paired"] is False
    assert "ours (sparse) beats NON-RECURRENT, paired" not in verdicts(report())


def clips(**shares):
    names = {"teacher": "teacher", "ours": "image-audio, distilled", "without": "image-audio, undistilled"}
    cells = {
        names[who]: {share: None if top1 is None else {"top1": top1} for share, top1 in found.items()}
        for who, found in shares.items()
    }
    return {"rows": [{"method": name, "shares": found} for name, found in cells.items()]}


def test_verdicts_on_clips_by_hand():
    numbers = clips(
        teacher={"5": None, "100": 0.95}, ours={"5": 0.7, "100": 0.9}, without={"5": 0.5, "100": 0.9}
    )
    found = list(expectations(report(clips=numbers)))[-3:]
    assert [item["met"] for item in found] == [False, True, True]
    assert "100 % of the labels: 90.0 % against 90.0 % (image-audio, undistilled)" in found[0]["found"]
    assert found[1]["found"] == "+20.0 points with 5 %; +0.0 points with 100 %"
    assert [item["met"] for item in expectations(report(clips={}))[-3:]] == [None] * 3


@pytest.mark.parametrize("dense", [row("DENSE", 0.851, 8.0), row("DENSE", 0.5, 7.9)])
def test_both_halves_of_the_first_claim_count(dense):
    claims = verdicts(report(video=[row("ours (sparse)", 0.9, 2.0), dense]))
    assert next(iter(claims.values())) is False


def test_the_last_digit_of_a_float_does_not_count():
    assert at_least(100 * (0.90 - 0.85), 5)
    assert not at_least(4.99, 5)


def test_a_missing_method_has_no_numbers():
    whole = committed("av-digits")
    page = markdown(whole | {"video": [row("image | image", 0.5), {"method": "LSTM"}]})
    first = "| image \\| image | 50.0 % | 50.0 % to 50.0 % | 50.0 % | 1.000 | 0 | 0.0 % |"
    assert f"{first}\n| LSTM | not run | - | - | - | - | - |\n" in page


def committed(name):
    return json.loads((ROOT / "results" / f"{name}.json").read_text())


@pytest.mark.parametrize("name", ["av-digits", "av-kinetic"])
def test_committed_pages_are_made_of_the_numbers_beside_them(name):
    assert markdown(committed(name)) == (ROOT / "results" / f"{name}.md").read_text()


def test_what_was_not_run_leaves_no_gap():
    whole = committed("av-kinetic")
    for name in ("plots", "fewer_frames", "classes", "calibration"):
        del whole[name]
    costs = {name: cost for name, cost in whole["costs"].items() if name not in ("clip", "skim")}
    nothing = {
        "policies": {},
        "clips": {},
        "differences": {},
        "found": None,
        "longer": [],
        "knots_inside": [],
    }
    curves = {"factors": [], "steps": {}}
    page = markdown(whole | nothing | {"costs": costs, "curves": curves, "seeds": {"rows": []}})
    for title in ("Sparse features and early stopping (Fig. 6)", "Clip level (Fig. 5)", "Moments (Fig. 8)"):
        assert f"## {title}\n\nnot run\n" in page
    assert "not run: there is no plan.\n" in page
    assert "Other seeds: not run.\n" in page
    assert "\n\n\n" not in page


def test_a_page_without_its_numbers_is_no_page():
    whole = committed("av-digits")
    del whole["settings"]
    with pytest.raises(UndefinedError, match="settings"):
        markdown(whole)


def test_settings_that_have_changed_are_named(tmp_path):
    config = Config(work=str(tmp_path), plan="")
    (tmp_path / "student").mkdir()
    recorded = {"student": {"epochs": 99, "rate": config.student.rate, "gone": 1}, "start": None}
    (tmp_path / "student/settings.json").write_text(json.dumps(recorded))
    found = provenance(config)
    assert found["differs"] == [f"student.epochs was 99, is {config.student.epochs}"]
    assert found["distilled"] is False
    (tmp_path / "skim").mkdir()
    (tmp_path / "skim/settings.json").write_text(json.dumps({"skim": {"longest": 900}}))
    changed = provenance(replace(config, skim=replace(config.skim, preset="paired")))["differs"]
    assert "preset `paired`" not in render(TRAINED, trained=provenance(config))
    assert changed[1:] == ['skim.preset was "paper", is "paired"', "skim.longest was 900, is 225"]
    (tmp_path / "skim/settings.json").write_text(json.dumps({"skim": {"preset": "paired"}}))
    assert "preset `paired`" in render(TRAINED, trained=provenance(config))
    (tmp_path / "skim/settings.json").unlink()
    (tmp_path / "student/settings.json").unlink()
    assert provenance(config) == {"settings": {}, "distilled": None, "differs": [], "updates": {}}


def test_updates_of_what_is_finished_are_named(tmp_path):
    for name, updates in (("skim", 5000), ("skims/lstm", 2000), ("skims/half", 100)):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "settings.json").write_text(json.dumps({"skim": {"updates": updates}}))
        if name != "skims/half":
            (tmp_path / name / "skimmer.safetensors").touch()
    assert provenance(Config(work=str(tmp_path), plan=""))["updates"] == {"ours": 5000, "lstm": 2000}
