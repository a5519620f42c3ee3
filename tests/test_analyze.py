"""The whole of an analysis, through the real command line, on pictures with a planted signal."""

import csv
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers.backbones import build_backbone, published_name
from helpers.command import only, read
from helpers.warm import analyze, train
from omegaconf import OmegaConf
from PIL import Image
from safetensors.torch import save_file

from fer_lit.analysis.cam import MapSettings
from fer_lit.analysis.chapter import Analysis, records
from fer_lit.analysis.chapters import attention, photographs
from fer_lit.analysis.checks import removal
from fer_lit.analysis.checks.outcomes import check_maps
from fer_lit.analysis.checks.retraining import retrained
from fer_lit.analysis.maps import choose_photographs, map_photographs
from fer_lit.analysis.networks import gather, load_networks
from fer_lit.analysis.selection import select_runs
from fer_lit.feature_bank.bank import FeatureBank, depends_on
from fer_lit.fitting import fit_head
from fer_lit.runs.predictions import prediction_frame
from fer_lit.training import build_data

EMOTIONS = ("happy", "sad")
CONDITIONS = ("none", "eyes", "nose", "mouth")
GREY = 117  # what the network subtracts from green: grey faces are nothing to it


def plant(folder):
    """Write grey faces with stripes in the mouth's rows: upright if happy, lying if sad."""
    random = np.random.default_rng(0)
    for emotion in EMOTIONS:
        (folder / "faces" / emotion).mkdir(parents=True)
        for number in range(60):
            stripes = np.tile(np.repeat([0, 255], 2), 12)[None] * np.ones((48, 1))
            stripes = np.roll(stripes, random.integers(4), axis=1)
            face = np.full((48, 48), GREY)
            face[31:39] = (stripes if emotion == "happy" else stripes.T)[31:39]
            path = folder / "faces" / emotion / f"{number}.png"
            Image.fromarray(face.astype(np.uint8)).save(path)


def set_by_hand(path):
    """Write weights of a network whose first two channels are upright and lying edges."""
    state = build_backbone("googlenet_caffe", None).state_dict()
    state = {name: torch.zeros_like(value) for name, value in state.items()}
    edges = state["blocks.conv1.7x7_s2.weight"]
    edges[0, 1, 3, 2], edges[0, 1, 3, 4] = -1, 1
    edges[1, 1, 2, 3], edges[1, 1, 4, 3] = -1, 1
    save_file({published_name(n.removeprefix("blocks.")): v for n, v in state.items()}, path)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a finished sweep of four conditions and two seeds, and its analysis."""
    folder = tmp_path_factory.mktemp("analysis")
    plant(folder)
    set_by_hand(folder / "edges.safetensors")
    process = train(
        folder,
        *("-m", f"occlusion={','.join(CONDITIONS)}", "seed=0,1", "data.root=faces"),
        *(f"data.classes=[{','.join(EMOTIONS)}]", "data.image_size=48", "augmentation=none"),
        *("model=googlenet_caffe", "model.weights=edges.safetensors", "model.taps=[conv1]"),
        *("trainer.max_epochs=15", "data.batch_size=32", "model.lr=0.05", "logger=csv"),
    )
    assert process.returncode == 0, process.stdout + process.stderr
    process = analyze(folder)  # with W&B
    assert process.returncode == 0, process.stdout + process.stderr
    (folder / "screen.txt").write_text(process.stdout)
    return folder


@pytest.fixture(scope="module")
def results(folder):
    return read(only(folder, "outputs/analysis/*/results.json"))


def rows(results, table, **wanted):
    found = results["tables"][table]
    return [row for row in found if all(row[key] == value for key, value in wanted.items())]


def test_a_planted_signal_is_found_where_it_is(folder, results):
    with np.load(only(folder, "outputs/analysis/*/attention.npz")) as attention:
        assert attention["conditions"].tolist() == list(CONDITIONS)
        maps = attention["mean_mass"][:, 0]  # without occlusion, 24×24 cells
        assert attention["photographs"].min() > 0
    for emotion, of_emotion in zip(EMOTIONS, maps, strict=True):
        peak = of_emotion.sum(axis=1).argmax()
        assert 30 <= 2 * peak < 40, emotion
    for row in rows(results, "attention", condition="none", band="mouth"):
        assert row["share"] > 0.8
        assert row["low"] <= row["share"] <= row["high"]


def test_covering_the_signal_costs_all_of_it_and_nothing_else_does(results):
    accuracy = {row["condition"]: row["accuracy"] for row in results["tables"]["accuracy"]}
    assert accuracy["none"] == accuracy["eyes"] == accuracy["nose"] == 1
    assert accuracy["mouth"] < 0.8
    covered, model = rows(results, "tests", a="none", b="mouth")
    assert covered["rejects"] and covered["p_holm"] < 1e-3
    assert model["rejects"] and model["p_holm"] < 1e-3
    same, _ = rows(results, "tests", a="none", b="eyes")
    assert same["p"] == same["p_holm"] == 1 and not same["rejects"]
    verdicts = {row["verdict"] for row in results["tables"]["differences"]}
    assert verdicts == {"inconclusive"}  # two seeds


def test_the_diagonal_of_the_transfer_matrix_is_the_runs_own_accuracy(folder, results):
    for condition in CONDITIONS:
        runs = folder.glob(f"outputs/sweeps/*/*_{condition}_seed*/metrics.json")
        own = [read(path)["validation"]["accuracy"] for path in runs]
        (diagonal,) = rows(results, "transfer", trained=condition, tested=condition)
        assert diagonal["seeds"] == len(own) == 2
        assert diagonal["mean"] == pytest.approx(np.mean(own), abs=1e-6)
    assert len(results["tables"]["transfer"]) == 16
    (blind,) = rows(results, "transfer", trained="none", tested="mouth")
    assert blind["mean"] < 0.8


def test_photographs_are_drawn_from_all_validation_parts_and_pairs_are_counted(folder, results):
    validate = {}
    for path in folder.glob("outputs/sweeps/*/*_none_seed*/predictions.csv"):
        with path.open() as file:
            validate[path.parent.name[-1]] = {row["image"] for row in csv.DictReader(file)}
    one, other = validate.values()
    for condition in CONDITIONS:
        counted = rows(results, "maps", condition=condition)
        assert sum(row["photographs"] for row in counted) == len(one | other)
        assert sum(row["pairs"] for row in counted) == len(one) + len(other)


def test_the_papers_findings_and_the_checks_have_verdicts(folder, results):
    said = [one for one in results["findings"] if one["text"].startswith("The paper:")]
    assert [one["verdict"] for one in said] == ["inconclusive"] * 3  # of two networks
    checks = {(row["check"], row["condition"]): row for row in results["tables"]["checks"]}
    assert checks["deletion", "none"]["verdict"] == "pass"
    # Hardly any place matters when the signal is covered.
    assert checks["deletion", "mouth"]["value"] < 0.1 < checks["deletion", "none"]["value"]
    assert checks["drawn faces", None]["verdict"] in ("pass", "fail")
    for check in ("knows the emotions", "reproducibility", "insertion", "ROAD combined"):
        assert checks[check, "none"]["verdict"] == "pass", check
    (stage,) = rows(results, "cascade", condition="none")
    assert (
        stage["block"] == "conv1" and stage["value"] == checks["random backbone", "none"]["value"]
    )
    screen = (folder / "screen.txt").read_text()
    (deletion,) = (line.split() for line in screen.splitlines() if "deletion  " in line)
    assert deletion == ["deletion", *(checks["deletion", one]["verdict"] for one in CONDITIONS)]
    *_, report, upload = screen.splitlines()
    assert report.startswith("Report: ") and report.endswith("report.html")
    assert upload.startswith("Weights & Biases is offline; to upload: wandb sync ")


def test_everything_is_written(folder):
    analysis = only(folder, "outputs/analysis/*")
    figures = {path.name for path in (analysis / "figures").iterdir()}
    for name in ("accuracy", "maps", "maps_over_faces", "difference", "samples", "examples"):
        assert {f"{name}.png", f"{name}.pdf"} <= figures
    tables = {path.stem for path in (analysis / "tables").glob("*.csv")}
    assert {"accuracy", "confusion", "tests", "transfer", "attention", "checks"} <= tables
    assert {"differences", "splits"} <= tables
    report = (analysis / "report.html").read_text(encoding="utf-8")
    assert report.count("data:image/png;base64,") == len(figures) / 2
    assert "inconclusive" in report and "python analyze.py" in report
    assert list(analysis.glob("wandb/offline-run-*"))


def test_ones_own_pictures(folder):
    own = folder / "own"
    own.mkdir()
    shutil.copy(folder / "faces" / "happy" / "0.png", own / "me.png")
    wide = Image.new("L", (144, 48), 255)  # cropped to its middle, the same picture
    wide.paste(Image.open(own / "me.png"), (48, 0))
    wide.save(own / "wide.png")
    (own / "broken.jpg").write_bytes(b"no picture")
    process = analyze(folder, "images=own", "logger=csv")
    assert process.returncode == 0, process.stdout + process.stderr
    assert "a face should fill them" in process.stdout
    assert "broken.jpg cannot be read as a picture" in process.stdout
    table = sorted(folder.glob("outputs/analysis/*/probabilities.csv"))[-1]
    with table.open() as file:
        judged = {(row["picture"], row["condition"]): row for row in csv.DictReader(file)}
    assert {condition for _, condition in judged} == set(CONDITIONS)
    assert judged["own/me.png", "none"]["prediction"] == "happy"
    assert float(judged["own/me.png", "none"]["probability_happy"]) > 0.9
    for name in ("probability_happy", "probability_sad"):
        assert judged["own/wide.png", "none"][name] == judged["own/me.png", "none"][name]
    assert {path.suffix for path in table.parent.glob("*_me.*")} == {".png", ".pdf"}


def test_the_band_map_drops_where_the_signal_is(folder):
    sweep = only(folder, "outputs/sweeps/*")
    process = analyze(folder, "band_map=true", f"sweep={sweep}", "output=bands", "logger=csv")
    assert process.returncode == 0, process.stdout + process.stderr
    found = read(only(folder, "bands/analysis/*/results.json"))
    right = {
        (row["kind"], row["fill"], row["top"]): row["accuracy"]
        for row in rows(found, "band_map", emotion="all")
    }
    # Noise that a network meets for the first time may disturb it anywhere.
    disturbing = {("tested", "noise", 10), ("tested", "noise", 20)}
    for place, accuracy in right.items():
        covered = place[2] == 30
        assert place in disturbing or (accuracy < 0.8 if covered else accuracy == 1), place
    curves = {place[:2] for place in right}
    tested = {("tested", fill) for fill in ("noise", "gray", "blur")}
    assert curves == {("reference", None), ("trained", "noise")} | tested
    assert len(right) == 1 + 4 * 3
    (reference,) = rows(found, "band_map", emotion="all", kind="reference")
    for row in rows(found, "band_map", emotion="all", kind="tested"):
        assert (row["seeds"], row["faces"]) == (2, reference["faces"])  # the same photographs
    assert any("where it covers rows 30 to 39" in one["text"] for one in found["findings"])
    report = only(folder, "bands/analysis/*/report.html").read_text(encoding="utf-8")
    assert report.count("data:image/png;base64,") == 1
    assert "What each row of the face is worth" in report
    assert not any("finished run under" in note for note in found["notes"])


@pytest.fixture
def selection(folder, monkeypatch):
    monkeypatch.chdir(folder)
    monkeypatch.setenv("FER_LIT_CACHE", str(folder / "cache"))
    return select_runs(None, "outputs")


def test_weights_that_have_moved_are_missed_and_can_be_named(folder, selection):
    weights, moved = folder / "edges.safetensors", folder / "moved.safetensors"
    weights.rename(moved)
    try:
        networks, (note,) = gather(selection, None, None, torch.device("cpu"))
        found, notes = gather(selection, None, str(moved), torch.device("cpu"))
    finally:
        moved.rename(weights)
    assert networks is None
    assert "0_none_seed0" in note and "edges.safetensors" in note and "weights=FILE" in note
    assert len(found.trained) == 8 and not notes
    assert len({id(network.reader.backbone) for network in found.trained.values()}) == 1


def test_a_checkpoint_that_is_gone_is_left_out(folder, selection):
    checkpoint = only(folder, "outputs/sweeps/*/0_none_seed0/checkpoints/last.ckpt")
    aside = checkpoint.rename(checkpoint.with_suffix(".aside"))
    try:
        networks, (note,) = gather(selection, None, None, torch.device("cpu"))
    finally:
        aside.rename(checkpoint)
    assert ("none", 0) not in networks.trained and len(networks.trained) == 7
    assert "only the predictions of" in note and "0_none_seed0" in note


def test_runs_with_a_test_part_are_those_of_their_best_epoch(selection):
    condition = selection.conditions["none"]
    run = condition.runs[0]
    tested = replace(condition, runs={0: replace(run, faces={**run.faces, "test": 9})})
    networks, _ = load_networks(
        replace(selection, conditions={"none": tested}), None, torch.device("cpu")
    )
    weights = [
        torch.load(run.folder / "checkpoints" / name, weights_only=True)["state_dict"][
            "head.linear.weight"
        ]
        for name in ("best.ckpt", "last.ckpt")
    ]
    found = networks["none", 0].head.linear.weight
    assert [bool((found == one).all()) for one in weights] == [True, False]


def test_without_photographs_the_predictions_are_analysed(folder):
    (folder / "faces").rename(folder / "gone")
    try:
        process = analyze(folder, "logger=csv", "data.root=gone/happy")
    finally:
        (folder / "gone").rename(folder / "faces")
    assert process.returncode == 0, process.stdout + process.stderr
    assert "Note: there are no maps and no transfer: data.root=gone/happy" in process.stdout
    newest = max(folder.glob("outputs/analysis/*"), key=lambda path: path.stat().st_mtime_ns)
    assert (newest / "report.html").exists() and not (newest / "attention.npz").exists()
    assert (newest / "tables" / "tests.csv").exists()


def test_a_network_that_trained_on_all_drawn_photographs_is_not_checked(selection, monkeypatch):
    monkeypatch.setattr(removal, "PHOTOGRAPHS", 4)
    networks, _ = gather(selection, None, None, torch.device("cpu"))
    networks.held_out["none", 0][:] = False
    settings = MapSettings("conv1", "gradcam", "label", "logit")
    indices = choose_photographs(networks.held_out, networks.faces.labels, 30, seed=0)
    checks = check_maps(networks, indices, settings, seed=0)
    table, stages = checks.table, checks.stages
    verdicts = {(row["check"], row["condition"]): row["verdict"] for row in records(table)}
    assert set(stages["condition"]) == {"eyes", "nose", "mouth"}
    assert verdicts["knows the emotions", "none"] == "pass"
    assert verdicts["deletion", "none"] == ("not applicable: none of the photographs is held out")
    assert verdicts["deletion", "eyes"] in ("pass", "fail")
    mapped = map_photographs(networks, indices, settings)
    # Only the other seed's network maps them.
    assert mapped.attention.pairs[:, 0].tolist() == mapped.attention.photographs[:, 0].tolist()
    cfg = OmegaConf.create({"colormap": "jet"})
    analysis = Analysis(cfg, selection, networks, settings, mapped)
    assert [one.name for one in photographs.chapter(analysis).drawings] == ["examples"]
    assert attention.chapter(analysis).drawings[0].name == "samples"


def verdicts_of(networks) -> dict[str, str]:
    """Return the verdicts of the checks of a single condition's maps."""
    settings = MapSettings("conv1", "gradcam", "label", "logit")
    indices = choose_photographs(networks.held_out, networks.faces.labels, 30, seed=0)
    table = check_maps(networks, indices, settings, seed=0).table
    return dict(zip(table["check"], table["verdict"], strict=True))


def test_a_head_that_learnt_shuffled_labels_fails_a_check(selection, monkeypatch):
    """The faces, their features and the training are the same."""
    monkeypatch.setattr(removal, "PHOTOGRAPHS", 12)
    found, _ = gather(selection, None, None, torch.device("cpu"))
    key, condition = ("none", 0), selection.conditions["none"]
    known = found.trained[key]
    only = replace(found, selection=selection, trained={key: known})
    assert verdicts_of(only)["knows the emotions"] == "pass"

    run = condition.runs[0]
    data = build_data(run.config, found.faces)
    data.bank = FeatureBank(data.views, depends_on(data.faces, data.occlusion), known.reader)
    labels = found.faces.labels.copy()
    labels[data.split.train] = np.arange(len(data.split.train)) % 2  # half of either emotion
    data._labels = torch.from_numpy(labels)
    shuffled = known.with_head(fit_head(run.config, data, found.device, seed=1))
    held_out = np.flatnonzero(found.held_out[key])
    told = shuffled.probabilities(data.bank.read(torch.from_numpy(held_out), 0)).numpy()
    own = prediction_frame(
        run.predictions["image"], found.faces.labels[held_out], told, found.faces.classes
    )
    ignorant = replace(condition, runs={0: replace(run, predictions=own)})
    of_labels = replace(selection, conditions={"none": ignorant})
    verdicts = verdicts_of(replace(found, selection=of_labels, trained={key: shuffled}))
    assert verdicts["knows the emotions"] == "fail"


def test_a_head_is_trained_once_more_if_its_features_are_there(selection, monkeypatch, tmp_path):
    networks, _ = gather(selection, None, None, torch.device("cpu"))
    key = ("none", 0)
    state = torch.get_rng_state()
    again = [retrained(networks, key, seed) for seed in (1, 1, 2)]
    assert torch.equal(torch.get_rng_state(), state)
    known, *weights = [one.head.linear.weight for one in (networks.trained[key], *again)]
    assert torch.equal(weights[0], weights[1]) and not torch.equal(weights[0], weights[2])
    assert not torch.equal(weights[0], known)
    assert again[0].reader is networks.trained[key].reader
    config = selection.conditions["none"].runs[0].config
    monkeypatch.setenv("FER_LIT_CACHE", str(tmp_path))
    assert retrained(networks, key, 1) == (
        "the features of its training faces are not in the cache"
    )
    monkeypatch.setitem(config.model, "freeze", "stem")
    assert retrained(networks, key, 1) == "its backbone was trained, too"


def test_other_photographs_are_not_taken_for_those_of_the_runs(folder, selection):
    other = folder / "other"
    for emotion in EMOTIONS:
        (other / emotion).mkdir(parents=True)
        shutil.copy(folder / "faces" / emotion / "0.png", other / emotion)
    networks, (note,) = gather(selection, str(other), None, torch.device("cpu"))
    assert networks is None
    assert "these are not the photographs of the runs (fingerprint" in note


def test_a_layer_that_does_not_fit_is_an_error_of_one_line(folder):
    process = analyze(folder, "layer=inception5b", "logger=csv")
    assert process.returncode == 1
    assert process.stderr.splitlines()[-1] == (
        "analyze.py: layer=inception5b: the head reads nothing after conv1; name that block or one "
        "before it"
    )
    assert "Traceback" not in process.stderr
