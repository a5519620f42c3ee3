"""Two made-up sweeps, side by side: labels, pairs, protocols, and what is said about them."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from helpers.command import CONF
from helpers.figures import assert_readable
from helpers.run_folders import run
from omegaconf import OmegaConf
from scipy.stats import t as student

from fer_lit.analysis.chapter import Analysis, records
from fer_lit.analysis.chapters import accuracy, power, splits
from fer_lit.analysis.chapters.splits import protocol_pairs
from fer_lit.analysis.labels import occlusion_pairs, option_pairs
from fer_lit.analysis.selection import select_runs
from fer_lit.errors import ConfigError
from fer_lit.files import write_text
from fer_lit.runs.manifest import write_manifest
from fer_lit.stats import resampled_t_power, wilson

MULTISCALE = ("recipe=multiscale", "model.lr=3e-3", "data.image_size=96", "features.views=0")
"""What an experiment might change."""


def sweep(folder: Path, right: dict[str, list[int]], *options: str, **facts) -> str:
    """Write a sweep: by occlusion, how many of 20 faces are right in each seed's run."""
    for occlusion, counts in right.items():
        for seed, count in enumerate(counts):
            run(
                folder / f"{occlusion}_{seed}",
                f"occlusion={occlusion}",
                f"seed={seed}",
                *options,
                images=facts.get("images") or [f"{seed} {number}" for number in range(20)],
                right=count,
                **{"faces": {"train": 50, "validation": 20}}
                | {name: fact for name, fact in facts.items() if name != "images"},
            )
    return str(folder)


def analysed(*folders: str) -> tuple[dict, SimpleNamespace]:
    """Return the conditions, and what the chapters about predictions have found."""
    selection = select_runs(list(folders), "outputs")
    analysis = Analysis(OmegaConf.create({"margin": 1}), selection)
    written = [write(analysis) for write in (accuracy.chapter, power.chapter, splits.chapter)]
    chapters = [one for one in written if one]
    return selection.conditions, SimpleNamespace(
        drawings={one.name: one.figure for chapter in chapters for one in chapter.drawings},
        tables={table.name: records(table.rows) for one in chapters for table in one.tables},
        findings=[finding for one in chapters for finding in one.findings],
        notes=[*selection.notes, *(note for one in chapters for note in one.notes)],
    )


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """Two recipes with three seeds and a planted difference of a quarter."""
    folder = tmp_path_factory.mktemp("two")
    linear = sweep(folder / "A", {"none": [10, 11, 12], "eyes": [8, 8, 9], "nose": [7, 9, 8]})
    better = sweep(folder / "B", {"none": [15, 16, 18], "eyes": [13, 13, 14]}, *MULTISCALE)
    return analysed(linear, better)


def test_a_recipe_stands_for_its_options(two):
    conditions, _ = two
    assert list(conditions) == [
        "none recipe=demo",
        "none recipe=multiscale",
        "eyes recipe=demo",
        "eyes recipe=multiscale",
        "nose recipe=demo",
    ]
    assert conditions["eyes recipe=demo"].reference == "none recipe=demo"
    assert conditions["eyes recipe=demo"].covered == "eyes"


def test_what_varies_within_a_recipe_is_named_too(tmp_path):
    one = sweep(tmp_path / "A", {"none": [10]})
    others = [
        sweep(tmp_path / name, {"none": [10]}, *MULTISCALE, f"model.weight_decay={decay}")
        for name, decay in (("B", 0.2), ("C", 0.4))
    ]
    conditions = select_runs([one, *others], "outputs").conditions
    assert list(conditions) == [
        "none recipe=demo weight_decay=0.1",
        "none recipe=multiscale weight_decay=0.2",
        "none recipe=multiscale weight_decay=0.4",
    ]


def test_what_is_typed_is_named_even_if_recipes_differ_in_it(tmp_path):
    sizes = ("data.image_size=64", "data.image_size=96")
    one, other, another = (
        sweep(tmp_path / size, {"none": [10]}, size, f"recipe={recipe}", overrides=overrides)
        for size, recipe, overrides in (
            (sizes[0], "a", ["experiment=a", "model=googlenet"]),
            (sizes[1], "b", ["experiment=b", "model=googlenet_caffe"]),
            ("data.image_size=80", "c", ["experiment=c", "+data.image_size=80"]),
        )
    )
    follows = select_runs([one, other], "outputs").conditions
    assert list(follows) == ["none recipe=a", "none recipe=b"]
    typed = select_runs([one, another], "outputs").conditions
    assert list(typed) == ["none recipe=a image_size=64", "none recipe=c image_size=80"]


def test_another_network_is_named_whatever_the_recipe(tmp_path):
    one = sweep(tmp_path / "A", {"none": [10]})
    other = sweep(tmp_path / "B", {"none": [10]}, "recipe=b", "model.network=googlenet_caffe")
    assert list(select_runs([one, other], "outputs").conditions) == [
        "none recipe=demo network=googlenet",
        "none recipe=b network=googlenet_caffe",
    ]


def test_bands_and_splits_are_named_whatever_the_recipe(tmp_path):
    one = sweep(tmp_path / "A", {"mouth": [10]})
    gray = ("occlusion.fill=gray", "data.split.validation=0.2")
    other = sweep(tmp_path / "B", {"mouth": [10]}, *MULTISCALE, *gray)
    conditions = select_runs([one, other], "outputs").conditions
    assert list(conditions) == [
        "mouth recipe=demo validation=0.3 fill=noise",
        "mouth recipe=multiscale validation=0.2 fill=gray",
    ]
    assert [one.covered for one in conditions.values()] == ["mouth fill=noise", "mouth fill=gray"]


def test_runs_from_before_there_were_recipes_and_tests_are_the_papers(tmp_path):
    folder = tmp_path / "A" / "0"
    run(folder, "recipe=paper")
    config = OmegaConf.load(folder / "config.yaml")
    del config["recipe"]
    config.data.split.pop("test", None)
    write_text(folder / "config.yaml", OmegaConf.to_yaml(config))
    (folder / "manifest.json").unlink()
    run(tmp_path / "A" / "1", "recipe=paper", "seed=1", "data.split.test=0")
    run(tmp_path / "A" / "2", "recipe=other")
    conditions = select_runs(str(tmp_path / "A"), "outputs").conditions
    assert list(conditions) == ["none recipe=paper", "none recipe=other"]
    assert list(conditions["none recipe=paper"].runs) == [0, 1]


def test_the_default_recipe_is_the_papers():
    assert OmegaConf.load(CONF / "config.yaml").recipe == "paper"


def test_pairs_differ_in_one_respect(two):
    conditions, results = two
    none, eyes, nose = (f"{name} recipe=demo" for name in ("none", "eyes", "nose"))
    better, better_eyes = "none recipe=multiscale", "eyes recipe=multiscale"
    of_occlusions = [(none, eyes), (none, nose), (better, better_eyes), (eyes, nose)]
    of_options = [(none, better), (eyes, better_eyes)]
    assert occlusion_pairs(conditions) == of_occlusions
    assert option_pairs(conditions) == of_options
    tests = results.tables["tests"]
    assert [(row["test"], row["a"], row["b"]) for row in tests] == [
        ("Cochran's Q", none, None),  # of the other recipe there are two conditions only
        *(("McNemar", *pair) for pair in of_occlusions + of_options),
        *(("linear probability", *pair) for pair in of_occlusions + of_options),
    ]
    assert tests[0]["predictions"] == 60
    differences = [(row["a"], row["b"]) for row in results.tables["differences"]]
    assert differences == of_occlusions + of_options


def test_a_planted_difference_between_recipes_is_found(two):
    _, results = two
    rows = results.tables["differences"]
    row = next(row for row in rows if row["b"] == "none recipe=multiscale")
    assert row["difference"] == pytest.approx(-16 / 60)
    # Of 60 photographs the better recipe alone gets 16 right; the splits agree more closely.
    squares = 16 * (44 / 60) ** 2 + 44 * (16 / 60) ** 2 + (44 / 60) ** 2 + (76 / 60) ** 2
    half = 1.9996 * np.sqrt(squares) / 62
    assert row["interval"] == "faces"
    assert (row["low"], row["high"]) == pytest.approx((-16 / 60 - half, -16 / 60 + half), abs=1e-4)
    said = " ".join(one.text for one in results.findings)
    assert "none recipe=multiscale is right 26.7 points more often than none recipe=demo" in said
    assert "14.7 to 38.7 over faces, 3 seeds): different (p = 0.042)" in said
    assert not [note for note in results.notes if "same faces" in note]


def test_protocols_are_compared_whatever_the_shares_but_on_the_same_part(tmp_path):
    grouped = ("data.split.protocol=grouped", "data.split.validation=0.2")
    one = sweep(tmp_path / "A", {"none": [10]}, "data.split.protocol=official")
    other = sweep(tmp_path / "B", {"none": [12]}, *grouped)
    faces = {"train": 50, "validation": 20, "test": 20}
    tested = sweep(tmp_path / "C", {"none": [12]}, *grouped, "data.split.test=0.1", faces=faces)
    conditions = select_runs([one, other], "outputs").conditions
    official, alone = "none protocol=official", "none protocol=grouped validation=0.2"
    assert list(conditions) == [official, alone]
    assert protocol_pairs(conditions) == [(official, alone)]
    conditions = select_runs([one, tested], "outputs").conditions
    assert len(conditions) == 2 and not protocol_pairs(conditions)


def test_protocols_stand_side_by_side(tmp_path):
    counted = {"duplicates_across": {"exact": 12, "near": 30}}
    paper = sweep(tmp_path / "A", {"none": [10, 11, 12]}, **counted)
    grouped = sweep(
        tmp_path / "B",
        {"none": [8, 9, 8], "eyes": [7, 7, 7]},
        "data.split.protocol=grouped",
        duplicates_across={"exact": 0, "near": 0},
    )
    conditions, results = analysed(paper, grouped)
    assert list(conditions) == [
        "none protocol=paper",
        "none protocol=grouped",
        "eyes protocol=grouped",
    ]
    assert [(row["a"], row["b"]) for row in results.tables["tests"]] == [
        ("none protocol=grouped", "eyes protocol=grouped")  # the protocols are not paired
    ] * 2
    (row,) = results.tables["protocols"]
    assert row == row | {
        "condition": "none",
        "protocol_a": "paper",
        "protocol_b": "grouped",
        "mean_a": pytest.approx(0.55),
        "mean_b": pytest.approx(25 / 60),
        "difference": pytest.approx(8 / 60),
        "exact_a": 12,
        "near_a": 30,
        "exact_b": 0,
        "near_b": 0,
        "interval": "faces",
    }
    # Newcombe's, of 33 and 25 of 60; that over the splits is ±15.2 points
    assert (row["low"], row["high"]) == pytest.approx((-0.0444, 0.2988), abs=1e-3)
    splits = results.tables["splits"]
    assert splits[0] == {
        "condition": "none protocol=paper",
        "protocol": "paper",
        "seeds": 3,
        "train": 50,
        "validation": 20,
        "test": None,
        "exact_duplicates": 12,
        "near_duplicates": 30,
    }
    assert "paper 30 (12 of them exact), grouped 0" in results.findings[-1].text


def test_single_splits_are_compared_over_their_faces(tmp_path):
    paper = run(tmp_path / "A", images=[f"a{i}" for i in range(70)], right=56)
    official = run(
        tmp_path / "B",
        "data.split.protocol=official",
        images=[f"b{i}" for i in range(80)],
        right=48,
    )
    _, results = analysed(str(paper), str(official))
    (row,) = results.tables["protocols"]
    # Newcombe 1998, "Interval estimation for the difference …", table II, method 10
    assert (row["low"], row["high"]) == pytest.approx((0.0524, 0.3339), abs=5e-5)
    assert row["interval"] == "faces"
    assert (row["exact_a"], row["near_b"]) == (None, None)
    assert results.findings[-1].text.endswith("paper not counted, official not counted.")


def test_protocols_that_vary_between_splits_have_the_wider_interval(tmp_path):
    paper = sweep(tmp_path / "A", {"none": [4, 10, 16]})
    grouped = sweep(tmp_path / "B", {"none": [6, 9, 6]}, "data.split.protocol=grouped")
    _, results = analysed(paper, grouped)
    (row,) = results.tables["protocols"]
    assert row["interval"] == "splits"
    # s² = 0.09 and 0.0075; both times 1/3 + 0.4. Welch: v² / (v₁² / 2 + v₂² / 2)
    variances = (1 / 3 + 0.4) * np.array([0.09, 0.0075])
    freedom = variances.sum() ** 2 / (variances**2 / 2).sum()
    half = student.ppf(0.975, freedom) * np.sqrt(variances.sum())
    assert (row["low"], row["high"]) == pytest.approx((0.15 - half, 0.15 + half))


@pytest.mark.parametrize(("counts", "over"), [([4, 16], "faces"), ([4, 10, 16], "both")])
def test_several_splits_beside_a_single_one(tmp_path, counts, over):
    paper = sweep(tmp_path / "A", {"none": counts})
    official = run(
        tmp_path / "B",
        "data.split.protocol=official",
        images=[f"b{i}" for i in range(80)],
        right=48,
    )
    _, results = analysed(paper, str(official))
    (row,) = results.tables["protocols"]
    assert row["interval"] == over
    half = (row["high"] - row["low"]) / 2
    if over == "faces":  # Student's t of one degree of freedom would make it 3.6
        assert half < 0.2
    else:
        over_splits, over_faces = (1 / 3 + 0.4) * 0.09, 0.6 * 0.4 / 80
        freedom = (over_splits + over_faces) ** 2 / (over_splits**2 / 2 + over_faces**2 / 79)
        error = np.sqrt(over_splits + over_faces)
        assert half == pytest.approx(student.ppf(0.975, freedom) * error)


def test_two_seeds_have_one_number_and_no_interval_over_them(tmp_path):
    _, results = analysed(sweep(tmp_path, {"none": [15, 20], "eyes": [9, 8]}))
    none, eyes = results.tables["accuracy"]
    assert (none["accuracy"], eyes["accuracy"]) == pytest.approx((35 / 40, 17 / 40))
    assert {row["interval"] for name in ("accuracy", "drop", "differences")
            for row in results.tables[name] if row["faces"]} == {"faces"}  # fmt: skip
    low, high = map(float, wilson(35, 40))
    assert (none["low"], none["high"]) == pytest.approx((low, high))
    accuracy, cost = results.findings
    assert f"none 87.5 % ({100 * low:.1f} to {100 * high:.1f})" in accuracy.text
    assert cost.text.startswith("Under eyes accuracy is 45.0 points lower than under none")
    assert cost.text.endswith("inconclusive about networks trained on other faces.")
    (axis,) = results.drawings["accuracy"].axes
    written = [text.get_text() for text in axis.texts]
    assert written[:2] == ["87.5", "42.5"]
    ends = [100 * low, 100 * high]
    assert any(list(line.get_xdata()) == pytest.approx(ends) for line in axis.lines)
    drop = next(row for row in results.tables["drop"] if row["emotion"] == "all")
    assert drop["drop"] == results.tables["differences"][0]["difference"] == pytest.approx(0.45)
    assert drop["reference_recall"] == none["accuracy"]
    assert "power" not in results.tables


def test_power_is_drawn_and_told(tmp_path):
    _, results = analysed(sweep(tmp_path, {"none": [15, 18, 20], "eyes": [14, 19, 18]}))
    (row,) = results.tables["power"]
    # Differences 0.05, −0.05, 0.1 over splits; 1, 1 and 2 of 20 faces would make it 0.04 at most
    spread = np.std([0.05, -0.05, 0.1], ddof=1)
    assert row == row | {"reference": "none", "condition": "eyes", "seeds": 3, "ratio": 0.4}
    assert row["sd"] == pytest.approx(spread)
    assert row["power"] == pytest.approx(float(resampled_t_power(0.01, spread, 0.4, 3)))
    assert row["power"] < row["ceiling"] < 0.1 and row["seeds_wanted"] is None
    said = (
        f"eyes against none is out of reach (at most {100 * row['ceiling']:.0f} % with any number"
    )
    assert said in results.findings[-1].text
    (axis,) = results.drawings["power"].axes
    assert axis.lines[0].get_ydata()[0] == pytest.approx(100 * row["power"])
    assert_readable(results.drawings["power"])


def test_the_fewest_seeds_that_suffice_are_found(tmp_path):
    selection = select_runs(sweep(tmp_path, {"none": [15, 18, 20], "eyes": [14, 19, 18]}), "")
    (row,) = records(power.power_table(selection, 0.3))
    wanted = row["seeds_wanted"]
    spread = row["sd"]
    assert resampled_t_power(0.3, spread, 0.4, wanted) >= 0.8
    assert wanted > 3 and resampled_t_power(0.3, spread, 0.4, wanted - 1) < 0.8
    (finding,) = power.power_findings(power.power_table(selection, 0.3), 0.3)
    assert f"eyes against none {wanted} seeds" in finding.text


def test_splits_that_differ_alike_are_as_uncertain_as_their_faces(tmp_path):
    selection = select_runs(sweep(tmp_path, {"none": [15, 18, 20], "eyes": [14, 17, 19]}), "")
    (row,) = records(power.power_table(selection, 0.01))
    within = 1 / 20 - (1 / 20) ** 2  # one of 20 faces, in each split
    assert row["sd"] == pytest.approx(np.sqrt(within / 20 / (1 + 0.4)))


def test_one_split_for_all_seeds_has_no_interval_over_them(tmp_path):
    faces = [f"face {number}" for number in range(20)]
    official = ("data.split.protocol=official",)
    right = {"none": [10, 12, 17], "eyes": [8, 8, 8]}
    _, results = analysed(sweep(tmp_path, right, *official, images=faces))
    row = results.tables["accuracy"][0]
    assert (row["faces"], row["accuracy"], row["interval"]) == (20, pytest.approx(0.65), "faces")
    assert (row["low"], row["high"]) == pytest.approx(tuple(map(float, wilson(13, 20))))
    (row,) = results.tables["differences"]
    assert (row["p"], row["verdict"]) == (None, "inconclusive")
    assert results.notes[0] == (
        "the seeds of none, eyes are tested on the same faces, so that their spread is only that "
        "of the initial head and the order of the batches: intervals are over faces, and nothing "
        "is known of networks trained on other faces"
    )


def test_the_test_part_is_what_counts(tmp_path):
    faces = {"train": 50, "validation": 20, "test": 5}
    images = [f"test {number}" for number in range(5)]
    folder = run(tmp_path / "A", images=images, right=4, faces=faces)
    selection = select_runs(str(folder), "outputs")
    (only,) = selection.runs
    assert only.predictions["image"].tolist() == images
    assert only.accuracy == 0.8
    assert only.checkpoint == folder / "checkpoints" / "best.ckpt"
    assert selection.notes[0] == (
        "accuracy is that of the test part, which had no say in training; the networks are those "
        "of the epoch that was best on the validation part"
    )
    tested = sweep(tmp_path / "B", {"eyes": [3, 4]}, faces=faces)
    whole = sweep(tmp_path / "C", {"none": [3, 4]})
    selection = select_runs([tested, whole], "outputs")
    assert selection.notes[0].startswith("accuracy of eyes is that of the test part")
    assert selection.conditions["eyes"].ratio == 20 / 50
    assert selection.conditions["none"].runs[0].checkpoint.name == "last.ckpt"


def test_a_test_part_whose_predictions_are_missing_is_not_replaced(tmp_path):
    run(tmp_path / "0_x")
    folder = run(tmp_path / "1_x", "occlusion=eyes", faces={"train": 5, "validation": 2, "test": 2})
    (folder / "test_predictions.csv").unlink()
    selection = select_runs(str(tmp_path), "outputs")
    assert list(selection.conditions) == ["none"]
    assert "1_x is left out: " in selection.notes[0] and "no such file" in selection.notes[0]


def test_another_head_of_the_same_options_is_a_condition_of_its_own(tmp_path):
    one = sweep(tmp_path / "A", {"none": [10]})
    other = sweep(tmp_path / "B", {"none": [12]})
    (folder,) = Path(other).glob("*")
    config = OmegaConf.load(folder / "config.yaml")
    config.model.head._target_ = "mine.Head"
    write_text(folder / "config.yaml", OmegaConf.to_yaml(config))
    write_manifest(folder)
    with pytest.raises(ConfigError, match=r"model.head._target_=mine.Head is not of fer_lit"):
        select_runs([one, other], "outputs")
    assert list(select_runs([one, other], "outputs", trust=True).conditions) == [
        "none head=fer_lit.networks.head.Perceptron",
        "none head=mine.Head",
    ]
