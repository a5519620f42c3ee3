"""Every sub-command of the benchmark, on a few faces that it draws itself or on random ones."""

import argparse
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from helpers import warm
from helpers.backbones import build_backbone
from helpers.command import ROOT
from helpers.copies import cropped, photograph
from PIL import Image
from safetensors.torch import save_file
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

BENCHMARK = ROOT / "benchmarks" / "benchmark.py"
TINY = ("--faces", "32", "--rounds", "1", "--image-size", "32")


FORKED = """
import multiprocessing, runpy, sys
context = multiprocessing.get_context
multiprocessing.get_context = lambda method=None: context(method and "fork")
sys.path.insert(0, {folder!r})
runpy.run_path({folder!r} + "/benchmark.py", run_name="__main__")
"""
"""A benchmark whose workers have imported what it has, which takes them most of the time."""


def benchmark(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a sub-command without a C++ compiler, since compiling takes half a minute."""
    program = BENCHMARK
    if sys.platform == "linux":
        program = folder / "forked.py"
        program.write_text(FORKED.format(folder=str(BENCHMARK.parent)), encoding="utf-8")
    return warm.run(program, folder, *arguments, CXX="no-such-compiler")


def tables(done: subprocess.CompletedProcess[str]) -> list[list[dict[str, str]]]:
    """Return the rows of each Markdown table that a sub-command printed, by their head."""
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Machine: " in done.stdout and "Versions: python " in done.stdout
    found = []
    for block in done.stdout.split("\n\n"):
        lines = [line for line in block.splitlines() if line.startswith("|")]
        head, *rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines] or [[]]
        found += [[dict(zip(head, row, strict=True)) for row in rows[1:]]] if rows else []
    return found


def number(text: str) -> float:
    return float(text.replace(",", "").rstrip("%"))


def test_contenders_are_timed_and_their_features_compared(tmp_path):
    done = benchmark(tmp_path, "images", *TINY, "--only", "eager-float32", "fer-lit")
    ((bare, own),) = tables(done)
    assert bare["contender"] == "bare backbone, eager float32"
    assert number(bare["relative error"]) < 1e-5
    assert own["contender"] == "fer-lit, everything included"
    assert 0 <= number(own["relative error"]) < 0.5  # bfloat16, through random layers
    assert number(own["images/s, median"]) > 0
    assert "no C++ compiler" in done.stdout


def test_a_sweep_is_added_up_from_the_speed_of_images_and_of_jobs(monkeypatch, capsys):
    monkeypatch.syspath_prepend(BENCHMARK.parent)
    import sweep

    speeds = {"lightning": 10.0, "fer-lit": 100.0}
    results = [
        SimpleNamespace(contender=SimpleNamespace(id=name), speeds=[speed], compilation=20.0)
        for name, speed in speeds.items()
    ]
    monkeypatch.setattr(sweep.images, "measure", lambda arguments: SimpleNamespace(results=results))
    job = SimpleNamespace(seconds=[5.0])
    monkeypatch.setattr(sweep.jobs, "measure", lambda faces, seeds, epochs: job)
    parser = argparse.ArgumentParser()
    sweep.add_arguments(parser)
    sweep.run(parser.parse_args([]))
    (rows,) = tables(subprocess.CompletedProcess([], 0, capsys.readouterr().out, ""))
    assert [(row["seeds"], row["views"]) for row in rows] == [
        ("1", "2"), ("1", "6"), ("10", "2"), ("10", "6"),
    ]  # fmt: skip
    # 4 conditions of 20,140 faces, in 6 epochs; 0.7 of them in each view, 0.3 validate.
    assert number(rows[0]["plain Lightning, s"]) == 48_336
    assert number(rows[0]["fer-lit, s"]) == round(4 * 20_140 * (2 * 0.7 + 0.3) / 100 + 20 + 20)


def test_jobs_are_timed_beside_a_bare_loop_and_their_memory_is_watched(tmp_path):
    done = benchmark(tmp_path, "jobs", "--seeds", "1", "--epochs", "1", "--faces", "32")
    seconds, memory = tables(done)
    job, slowest, bare, difference, startup = (number(row["seconds"]) for row in seconds)
    assert 0 <= bare < job <= slowest  # rounded to 10 ms
    assert difference == pytest.approx(job - bare, abs=0.011)
    assert startup > 0
    assert [row["after job"] for row in memory] == ["1", "2", "4"]
    assert all(number(row["memory, MB"]) > 100 for row in memory)


def test_the_memory_of_a_run_is_measured(tmp_path):
    done = benchmark(tmp_path, "memory", "--faces", "32", "--image-size", "32", "--views")
    ((row,),) = tables(done)
    assert (row["input, pixels"], row["views"]) == ("32", "1")
    assert number(row["peak memory, MB"]) > 100


def test_cost_is_measured_by_what_is_computed(tmp_path):
    size = ("--faces", "40", "--parts", "4", "--views", "--conditions")
    ((row,),) = tables(benchmark(tmp_path, "scaling", *size))
    assert (row["faces"], row["views"], row["conditions"]) == ("40", "1", "1")
    assert row["views of faces computed"] == "40"
    assert number(row["seconds"]) > 0


def test_sizes_are_compared_on_photographs_and_plotted(tmp_path):
    random = np.random.default_rng(0)
    for emotion in ("angry", "disgust", "fear", "happy", "neutral", "sad", "surprise"):
        (tmp_path / "faces" / emotion).mkdir(parents=True)
        for face in range(4):
            pixels = random.integers(0, 256, (48, 48), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "faces" / emotion / f"{face}.png")
    state = build_backbone("googlenet", None).state_dict()
    save_file({n.removeprefix("blocks."): v for n, v in state.items()}, tmp_path / "w.safetensors")
    given = ("--root", "faces", "--weights", "w.safetensors", "--sizes", "32", "--epochs", "1")
    ((row,),) = tables(benchmark(tmp_path, "sizes", *given, "--plot", "plot.png"))
    assert (row["input, pixels"], row["occlusion"]) == ("32", "none")
    assert 0 <= number(row["accuracy, % (95 % interval)"].split(" ")[0]) <= 100
    with Image.open(tmp_path / "plot.png") as plot:
        assert plot.width > 500


def test_the_stages_of_filling_the_bank_add_up(tmp_path):
    (rows,) = tables(benchmark(tmp_path, "stages", *TINY))
    assert rows[0]["what"] == "convolutions"
    assert sum(number(row["share"]) for row in rows) == pytest.approx(100, abs=len(rows))


def test_maps_are_timed_and_equal_those_of_the_library(tmp_path):
    size = ("--faces", "24", "--plain-faces", "2", "--heads", "2", "--image-size", "64")
    done = benchmark(tmp_path, "maps", *size, "--rounds", "1")
    (rows,) = tables(done)
    assert [row["what"] for row in rows][1:3] == [
        "maps of one head",
        "maps of 2 heads, each of 30% of the faces",
    ]
    assert rows[0]["of the forward pass"] == "1.00"
    assert all(number(row["ms per face, median"]) > 0 for row in rows)
    errors = done.stdout.split("in float32: ")[1].splitlines()[0]  # of the logit, the probability
    assert all(float(error.split()[1]) < 1e-4 for error in errors.split(", "))


def test_pairs_are_drawn_by_the_distance_of_their_hashes(tmp_path):
    for emotion, first in (("angry", 0), ("happy", 4), ("neutral", 8)):
        folder = tmp_path / "faces" / emotion
        folder.mkdir(parents=True)
        for number in range(first, first + 4):
            face = photograph(number)
            # A copy pixel by pixel is left out; one that is cropped is the other of a pair.
            for name, pixels in (("a", face), ("copy", face), ("cropped", cropped(face))):
                Image.fromarray(pixels).save(folder / f"{number}{name}.png")
    given = ("--root", "faces", "--out", "sheets", "--bits", "0", "60", "--pairs", "2")
    (rows,) = tables(benchmark(tmp_path, "duplicates", *given))
    assert sum(int(row["pairs"]) for row in rows) == 12
    assert {row["pairs of a face and a mirror image"] for row in rows} == {"0"}
    drawn = {int(row["bits that differ"]): min(int(row["pairs"]), 2) for row in rows}
    assert {int(row["bits that differ"]): int(row["drawn"]) for row in rows} == drawn
    sheets = sorted(path.name for path in (tmp_path / "sheets").iterdir())
    assert sheets == [f"{bits:03d}_1.png" for bits in sorted(drawn)]
    with Image.open(tmp_path / "sheets" / sheets[0]) as sheet:
        assert len(np.unique(sheet)) > 100


def test_the_coverage_of_intervals_is_simulated(monkeypatch, capsys):
    monkeypatch.syspath_prepend(BENCHMARK.parent)
    import intervals

    intervals.run(argparse.Namespace(sweeps=4, seed=0))
    found = tables(subprocess.CompletedProcess([], 0, capsys.readouterr().out, ""))
    assert len(found) == 2  # worlds
    for rows in found:
        shares = {row["of the sweeps, %"]: row for row in rows}
        printed = shares["accuracy: interval as printed"]
        assert {printed[f"{n} splits"] for n in (2, 3, 5, 10)} <= {"50.0", "75.0", "100.0"}
        assert shares["difference: plain t alone"]["2 splits"] == "–"
        assert shares["difference: as printed, of these networks"]["3 splits"] == "–"


def test_simulated_networks_are_those_of_scikit_learn(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARK.parent)
    import intervals

    rng = np.random.default_rng(0)
    world = intervals.World(200, rng.normal(size=(3, 4)))
    labels, (features, *_) = world.draw(200, rng)
    trained = rng.random((2, 200)) < 0.7
    weights, biases = intervals.discriminants(features, labels, trained)
    for number, own in enumerate(trained):
        known = LinearDiscriminantAnalysis().fit(features[own], labels[own])
        by_n = own.sum() / (own.sum() - 3)  # scikit-learn divides the covariance by N
        priors = np.log(known.priors_)
        found = weights[number] * by_n, (biases[number] - priors) * by_n + priors
        for own_numbers, theirs in zip(found, (known.coef_.T, known.intercept_), strict=True):
            np.testing.assert_allclose(np.diff(own_numbers), np.diff(theirs))


def test_a_wrong_option_is_an_error_of_one_line(tmp_path):
    done = benchmark(tmp_path, "images", "--faces", "3")
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "--faces 3: must be at least 20" in done.stderr
