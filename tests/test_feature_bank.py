"""Features that are right, complete, and never computed twice."""

import json
import logging
import os
import signal
import time
from collections import Counter
from dataclasses import replace
from errno import ENOSPC
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from helpers import warm
from helpers.backbones import build_backbone, linear_head

from fer_lit import stopping
from fer_lit.errors import ConfigError
from fer_lit.faces.augmentation import Augmentation
from fer_lit.faces.face_set import FaceSet
from fer_lit.faces.occlusion import Occlusion, occlude
from fer_lit.faces.synthetic import draw_faces
from fer_lit.faces.views import FaceViews
from fer_lit.feature_bank import bank as feature_bank
from fer_lit.feature_bank import stored_features
from fer_lit.feature_bank.bank import FeatureBank
from fer_lit.networks import reader as reading
from fer_lit.networks.backbone import Backbone
from fer_lit.networks.googlenet_caffe import GoogLeNetCaffe
from fer_lit.networks.reader import FrozenReader, extract_features

# The other processes import this file: what only the tests need, they import themselves.

MATLAB = Augmentation(flip=0.5, translate=30, scale=(0.9, 1.1), seed=0)
MOUTH = Occlusion("mouth", top=30, height=10, left=0, width=48, fill="noise", noise_seed=0)
TAPS = {"maxpool1": 2, "inception3a": 1}
FACES = 16
BATCH = 4
IMAGE = 32  # pixels

torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path) -> Path:
    monkeypatch.setenv("FER_LIT_CACHE", str(tmp_path))
    monkeypatch.setitem(reading._PASS_PIXELS, "cpu", BATCH * IMAGE**2)
    return tmp_path


@pytest.fixture(scope="module")
def backbone() -> Backbone:
    return build_backbone("googlenet_caffe", None)


@pytest.fixture(scope="module")
def other_backbone() -> Backbone:
    return build_backbone("googlenet_caffe", None, seed=1)


@pytest.fixture
def runs(backbone):
    """How many images went through each block, and `input`: through the network."""
    counts = Counter()

    def count(name):
        return lambda module, inputs, output: counts.update({name: len(output)})

    modules = {"input": backbone.preprocessing, **backbone.blocks}
    hooks = [module.register_forward_hook(count(name)) for name, module in modules.items()]
    yield counts
    for hook in hooks:
        hook.remove()


def all_faces(seed: int = 0) -> FaceSet:
    return draw_faces(["angry", "happy"], FACES, seed)


def opened(
    backbone: Backbone,
    *,
    taps=TAPS,
    faces: FaceSet | None = None,
    occlusion: Occlusion = MOUTH,
    augmentation: Augmentation = MATLAB,
    image_size: int = IMAGE,
    arithmetic: str = "float32",
) -> FeatureBank:
    """The bank as a run opens it."""
    from fer_lit.faces.datamodule import FaceDataModule
    from fer_lit.faces.split import split_faces
    from fer_lit.training import open_bank

    faces = faces or all_faces()
    data = FaceDataModule(
        faces,
        occlusion,
        augmentation,
        image_size=image_size,
        split=split_faces(faces, "paper", validation=0.5, test=0, seed=0),
        batch_size=8,
        views=2,
    )
    hparams = SimpleNamespace(backbone_arithmetic=arithmetic)
    model = SimpleNamespace(backbone=backbone, taps=taps, hparams=hparams)
    return open_bank(data, model, torch.device("cpu"))


def everything(*views: int) -> dict[int, np.ndarray]:
    return {view: np.arange(FACES) for view in views}


def direct(backbone, view, *, taps=TAPS, arithmetic=torch.float32, batch=FACES):
    """The features without a bank."""
    views = FaceViews(occlude(all_faces().pixels, MOUTH), MATLAB, IMAGE)
    parts = [
        extract_features(backbone, views(indices, view), taps, arithmetic)
        for indices in torch.arange(FACES).split(batch)
    ]
    return {tap: torch.cat([part[tap] for part in parts]) for tap in taps}


@pytest.mark.parametrize("view", [0, 1])
def test_the_bank_gives_what_the_network_gives(backbone, view):
    bank = opened(backbone)
    bank.fill(everything(view))
    found = bank.read(torch.arange(FACES), view)
    wanted = direct(backbone, view)
    assert list(found) == list(TAPS)
    for tap, grid in TAPS.items():
        assert found[tap].shape == (FACES, backbone.channels[tap], grid, grid)
        assert found[tap].dtype == torch.float32
        assert (found[tap] - wanted[tap]).abs().max() <= 1e-5 * wanted[tap].abs().max()
        assert wanted[tap].std(dim=0).max() > 0  # faces differ


def test_the_bank_knows_what_it_has(backbone, cache):
    bank = opened(backbone)
    assert not bank.has(everything(0))
    bank.fill({0: np.arange(FACES - 1), 1: np.arange(FACES)})
    assert bank.has({0: np.arange(FACES - 1), 1: np.arange(FACES)})
    assert not bank.has(everything(0))
    (features,) = cache.glob("features/*/view1_maxpool1_2.features.npy")
    content = bytearray(features.read_bytes())
    content[-1] ^= 1  # of the last face
    features.write_bytes(content)
    assert not bank.has(everything(1))
    assert bank.has({1: np.arange(FACES - 1)})


def test_bfloat16_features_are_kept_to_half_a_unit_of_float16(backbone):
    bank = opened(backbone, arithmetic="bfloat16")
    bank.fill(everything(0))
    found = bank.read(torch.arange(FACES), 0)
    wanted = direct(backbone, 0, arithmetic=torch.bfloat16, batch=BATCH)
    exact = direct(backbone, 0, batch=BATCH)
    for tap in TAPS:
        torch.testing.assert_close(found[tap], wanted[tap], rtol=2**-11, atol=2**-25)
        assert not torch.equal(found[tap], exact[tap])
        assert bank._stored(0, tap).map().dtype == torch.float16


def test_faces_are_read_in_any_order_and_repeatedly(backbone):
    bank = opened(backbone)
    bank.fill(everything(0))
    some = torch.tensor([9, 2, 2, 15])
    for tap, features in bank.read(some, 0).items():
        assert torch.equal(features, bank.read(torch.arange(FACES), 0)[tap][some])


def test_nothing_is_computed_twice(backbone, runs):
    opened(backbone).fill(everything(0, 1))
    assert runs["input"] == 2 * FACES
    opened(backbone).fill(everything(0, 1))
    assert runs["input"] == 2 * FACES
    assert runs["inception3b"] == 0  # after the deepest tap


def test_only_new_faces_are_computed(backbone, runs):
    opened(backbone).fill({0: np.array([1, 4, 6, 11])})
    assert runs["input"] == 4
    opened(backbone).fill({0: np.array([4, 5, 6, 7, 8, 9]), 1: np.array([], dtype=int)})
    assert runs["input"] == 8
    opened(backbone).fill({0: np.array([1, 4, 5, 6, 7, 8, 9, 11])})
    assert runs["input"] == 8


def test_a_further_tap_is_computed_alone(backbone, runs):
    opened(backbone, taps={"inception3a": 1}).fill(everything(0))
    runs.clear()
    opened(backbone, taps={"inception3a": 1, "maxpool1": 2}).fill(everything(0))
    assert (runs["maxpool1"], runs["conv2"]) == (FACES, 0)
    runs.clear()
    opened(backbone, taps={"inception3a": 1, "conv3": 1, "maxpool1": 2}).fill(everything(0))
    assert (runs["conv3"], runs["maxpool2"]) == (FACES, 0)


def test_another_grid_is_computed_alone(backbone, runs):
    opened(backbone, taps={"inception3a": 1, "maxpool1": 2}).fill(everything(0))
    runs.clear()
    bank = opened(backbone, taps={"inception3a": 1, "maxpool1": 4})
    bank.fill(everything(0))
    assert (runs["maxpool1"], runs["conv2"]) == (FACES, 0)
    found, wanted = bank.read(torch.arange(FACES), 0), direct(backbone, 0, taps={"maxpool1": 4})
    torch.testing.assert_close(found["maxpool1"], wanted["maxpool1"], rtol=1e-5, atol=1e-3)


def test_each_face_gets_exactly_the_taps_that_it_lacks(backbone, runs):
    opened(backbone, taps={"maxpool1": 2}).fill({0: np.arange(4)})
    opened(backbone, taps={"inception3a": 1}).fill({0: np.arange(4, 8)})
    runs.clear()
    bank = opened(backbone)
    bank.fill({0: np.arange(12)})
    # Faces 0-3 lack inception3a, 4-7 maxpool1, 8-11 both.
    assert (runs["maxpool1"], runs["inception3a"]) == (12, 8)
    wanted = direct(backbone, 0)
    for tap, features in bank.read(torch.arange(12), 0).items():
        torch.testing.assert_close(features, wanted[tap][:12], rtol=1e-5, atol=1e-3)


def test_view_0_is_shared_by_all_augmentations_and_view_1_is_not(backbone, runs):
    opened(backbone).fill(everything(0, 1))
    runs.clear()
    other = opened(backbone, augmentation=replace(MATLAB, seed=1))
    other.fill(everything(0))
    assert runs["input"] == 0
    other.fill(everything(1))
    assert runs["input"] == FACES
    first, second = (
        opened(backbone).read(torch.arange(FACES), 1),
        other.read(torch.arange(FACES), 1),
    )
    assert not torch.equal(first["maxpool1"], second["maxpool1"])


@pytest.mark.parametrize(
    "change",
    [
        {"occlusion": replace(MOUTH, top=29)},
        {"occlusion": replace(MOUTH, fill="black")},
        {"occlusion": replace(MOUTH, noise_seed=1)},
        {"faces": all_faces(seed=1)},
        {"image_size": IMAGE + 1},
        {"arithmetic": "bfloat16"},
        {"arithmetic": "float16"},
        {"backbone": "other_backbone"},
    ],
    ids=lambda change: "-".join(change),
)
def test_whatever_decides_a_feature_decides_its_folder(backbone, change, request):
    first = opened(backbone)
    if "backbone" in change:
        change = {"backbone": request.getfixturevalue(change["backbone"])}
    other = opened(**{"backbone": backbone, **change})
    for view in (0, 1):
        assert other.folder(view) != first.folder(view)


def test_the_preprocessing_decides_the_folder(backbone, monkeypatch):
    before = opened(backbone).folder(0)
    monkeypatch.setattr(backbone.preprocessing, "extra_repr", lambda: "something else")
    assert opened(backbone).folder(0) != before


def test_each_part_of_the_augmentation_decides_the_folder_of_random_views(backbone):
    changes = ({}, {"flip": 0.4}, {"translate": 3}, {"scale": (0.9, 1.2)}, {"seed": 1})
    banks = [opened(backbone, augmentation=replace(MATLAB, **change)) for change in changes]
    assert len({bank.folder(1) for bank in banks}) == len(changes)
    assert len({bank.folder(0) for bank in banks}) == 1


@pytest.mark.parametrize(
    "change", [{"occlusion": replace(MOUTH, name="lips")}, {"taps": {"conv1": 3}}]
)
def test_names_and_taps_do_not_decide_the_folder(backbone, change):
    first, other = opened(backbone), opened(backbone, **change)
    assert other.folder(0) == first.folder(0)
    assert other.folder(1) == first.folder(1)


def test_key_json_says_all_that_the_features_depend_on(backbone, cache):
    bank = opened(backbone)
    wanted = {
        "format": feature_bank.FORMAT,
        "data": all_faces().fingerprint,
        "occlusion": {
            "top": 30,
            "height": 10,
            "left": 0,
            "width": 48,
            "fill": "noise",
            "noise_seed": 0,
        },
        "backbone": backbone.digest(),
        "preprocessing": repr(backbone.preprocessing),
        "image_size": IMAGE,
        "arithmetic": "float32",
        "augmentation": None,
    }
    text = (bank.folder(0) / "key.json").read_text(encoding="utf-8")
    assert json.loads(text) == wanted
    assert len(text.splitlines()) > len(wanted)  # for people: a line an entry
    wanted["augmentation"] = {"flip": 0.5, "translate": 30, "scale": [0.9, 1.1], "seed": 0}
    assert json.loads((bank.folder(1) / "key.json").read_text(encoding="utf-8")) == wanted
    assert {path.parent for path in cache.rglob("key.json")} == {bank.folder(0), bank.folder(1)}
    assert bank.folder(0).parent == cache / "features"


@pytest.mark.parametrize(
    ("arithmetic", "folders"),
    [
        (torch.float32, ["0fb0a65c573e02cf", "99b9f416ccba1e11"]),
        (torch.bfloat16, ["89bf875ee327924c", "0a833215bcf11118"]),
    ],
)
def test_features_that_earlier_versions_stored_are_found(cache, arithmetic, folders):
    backbone = SimpleNamespace(
        digest=lambda: "0123abcd", preprocessing="MeanOf(1)", channels={"maxpool1": 64}
    )
    reads = FrozenReader(backbone, {"maxpool1": 2}, arithmetic, torch.device("cpu"), IMAGE)
    views = FaceViews(np.zeros((2, 48, 48), np.uint8), MATLAB, IMAGE)
    bank = FeatureBank(views, {"data": "fingerprint", "occlusion": MOUTH.identity}, reads)
    for view, folder in enumerate(folders):
        assert bank._stored(view, "maxpool1")._values == (
            cache / "features" / folder / f"view{view}_maxpool1_2.features.npy"
        )
        assert bank.folder(view) == cache / "features" / folder


def test_what_was_computed_before_an_interruption_stays(backbone, runs, monkeypatch):
    make = feature_bank.fastest

    def interrupted(*arguments):
        extract, calls = make(*arguments), []

        def once(pixels):
            if calls:
                raise KeyboardInterrupt
            calls.append(1)
            return extract(pixels)

        return once

    with monkeypatch.context() as patch:
        patch.setattr(feature_bank, "fastest", interrupted)
        with pytest.raises(KeyboardInterrupt):
            opened(backbone).fill(everything(0))
    bank = opened(backbone)
    assert bank._stored(0, "maxpool1").present().nonzero()[0].tolist() == [0, 1, 2, 3]
    runs.clear()
    bank.fill(everything(0))
    assert runs["input"] == FACES - BATCH
    wanted = direct(backbone, 0)
    for tap, features in bank.read(torch.arange(FACES), 0).items():
        torch.testing.assert_close(features, wanted[tap], rtol=1e-5, atol=1e-3)


def test_a_failure_while_writing_does_not_claim_the_features(backbone, monkeypatch):
    bank = opened(backbone)
    bank.fill({0: np.arange(2)})
    put = stored_features._put

    def fail(path, indices, rows):
        put(path, indices[:1], rows[:1])
        raise OSError(ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(stored_features, "_put", fail)
        with pytest.raises(ConfigError, match=r"^FER_LIT_CACHE=.* \(No space left on device"):
            bank.fill(everything(0))
    assert bank._stored(0, "maxpool1").present().nonzero()[0].tolist() == [0, 1]


def test_a_disk_without_room_is_an_error_before_anything_is_computed(backbone, monkeypatch, runs):
    # A view of 16 faces, with 64 x 2 x 2 and 256 numbers of 4 bytes.
    monkeypatch.setattr(feature_bank, "disk_usage", lambda folder: SimpleNamespace(free=32_768))
    with pytest.raises(ConfigError, match=r"FER_LIT_CACHE=.* 0 MB are free; make room there"):
        opened(backbone).fill(everything(0, 1))
    assert runs["input"] == 0
    opened(backbone).fill(everything(0))
    assert runs["input"] == FACES


def test_a_feature_that_is_not_there_is_an_error(backbone):
    bank = opened(backbone)
    with pytest.raises(KeyError, match="view 0 of some faces is not in the bank"):
        bank.read(torch.tensor([0]), 0)
    bank.fill({0: np.arange(4)})
    bank.read(torch.arange(4), 0)
    with pytest.raises(KeyError, match="view 0"):
        bank.read(torch.arange(5), 0)
    with pytest.raises(KeyError, match="view 1"):
        bank.read(torch.arange(4), 1)


def test_values_beyond_float16_are_an_error_and_are_not_kept(backbone, monkeypatch):
    def huge(*arguments):
        return lambda pixels: {"maxpool1": torch.full((len(pixels), 64, 2, 2), 1e5)}

    monkeypatch.setattr(feature_bank, "fastest", huge)
    bank = opened(backbone, taps={"maxpool1": 2}, arithmetic="bfloat16")
    message = r"model\.taps: maxpool1 .*1e\+05.*trainer\.precision=32"
    with pytest.raises(ConfigError, match=message):
        bank.fill(everything(0))
    assert not bank._stored(0, "maxpool1").present().any()
    exact = opened(backbone, taps={"maxpool1": 2})
    exact.fill(everything(0))
    assert (exact.read(torch.arange(FACES), 0)["maxpool1"] == 1e5).all()


def test_the_log_says_what_was_found_and_what_is_computed(backbone, caplog):
    caplog.set_level(logging.INFO)
    opened(backbone).fill({0: np.arange(6)})
    opened(backbone).fill({0: np.arange(8), 1: np.arange(4)})
    lines = [line for line in caplog.messages if line.startswith("Feature bank")]
    taps = "Feature bank (maxpool1 2×2, inception3a 1×1): "
    assert lines == [
        f"{taps}0 of 6 views of faces found, 6 to compute",
        f"{taps}6 of 12 views of faces found, 6 to compute",
    ]


def _fill_in_another_process(start, cache, folder, name, indices):
    """Fill a bank slowly, beginning with the others, and write how many images were computed."""
    os.environ["FER_LIT_CACHE"] = cache
    torch.set_num_threads(1)
    reading._PASS_PIXELS["cpu"] = BATCH * IMAGE**2
    backbone = _small_backbone()
    images = []

    def slowly(module, inputs, output):
        images.append(len(output))
        time.sleep(0.05)

    backbone.preprocessing.register_forward_hook(slowly)
    bank = _bank_for_processes(backbone)
    start.wait(120)
    bank.fill({0: np.array(indices)})
    (Path(folder) / name).write_text(str(sum(images)), encoding="utf-8")


def _small_backbone() -> Backbone:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return GoogLeNetCaffe().build()


def _bank_for_processes(backbone: Backbone) -> FeatureBank:
    views = FaceViews(draw_faces(["angry", "happy"], 24, 0).pixels, MATLAB, IMAGE)
    cpu = torch.device("cpu")
    reads = FrozenReader(backbone, {"maxpool1": 2}, torch.float32, cpu, IMAGE)
    return FeatureBank(views, {"data": "x"}, reads)


def test_two_processes_share_the_work(cache, tmp_path):
    context = warm.context()
    start = context.Barrier(2)
    jobs = {"first": list(range(16)), "second": list(range(8, 24))}
    processes = [
        context.Process(
            target=_fill_in_another_process,
            args=(start, str(cache), str(tmp_path), name, wanted),
        )
        for name, wanted in jobs.items()
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(180)
    assert [process.exitcode for process in processes] == [0, 0]
    # The faces that both want, 8 to 15, were computed by one of them.
    assert sum(int((tmp_path / name).read_text(encoding="utf-8")) for name in jobs) == 24
    backbone = _small_backbone()
    bank = _bank_for_processes(backbone)
    pixels = bank._views(torch.arange(24), 0)
    wanted = extract_features(backbone, pixels, {"maxpool1": 2}, torch.float32)["maxpool1"]
    found = bank.read(torch.arange(24), 0)["maxpool1"]
    assert (found - wanted).abs().max() <= 1e-5 * wanted.abs().max()


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="asks Linux what is mapped")
def test_memory_does_not_grow_with_the_number_of_views(backbone, cache):
    views = range(8)
    bank = opened(backbone, taps={"maxpool1": 2})
    bank.fill(everything(*views))
    assert mapped_files(cache) == set()
    for view in views:
        bank.read(torch.arange(FACES), view)
    assert len(mapped_files(cache)) == 3


def mapped_files(folder: Path) -> set[str]:
    lines = Path("/proc/self/maps").read_text(encoding="utf-8").splitlines()
    return {line.split()[-1] for line in lines if str(folder) in line}


def test_what_another_process_added_is_found(backbone):
    first, second = opened(backbone), opened(backbone)
    first.fill({0: np.arange(4)})
    first.read(torch.arange(4), 0)
    second.fill(everything(0))
    first.fill(everything(0))
    first.read(torch.arange(FACES), 0)


def test_a_signal_that_a_library_has_swallowed_stops_the_filling(backbone, monkeypatch):
    monkeypatch.setattr(stopping, "_received", [signal.SIGTERM])
    bank = opened(backbone)
    with pytest.raises(KeyboardInterrupt):
        bank.fill(everything(0))
    bank.read(torch.arange(BATCH), 0)  # what was computed is there
    with pytest.raises(KeyError):
        bank.read(torch.arange(FACES), 0)


def test_bfloat16_changes_features_by_little_and_accuracy_by_less_than_half_a_point(monkeypatch):
    # The demo's network, taps and input size, at which a head on drawn faces does well.
    from fer_lit.networks.weights import calibrate_batch_norm

    monkeypatch.setitem(reading._PASS_PIXELS, "cpu", 64 * 64**2)
    faces = draw_faces(["angry", "happy", "neutral"], 1000, 0)
    views = FaceViews(faces.pixels, MATLAB, 64)
    network = build_backbone("googlenet", None)
    calibrate_batch_norm(network, views(torch.arange(0, 1000, 6), 0))
    features = {}
    for arithmetic in (torch.float32, torch.bfloat16):
        cpu = torch.device("cpu")
        reads = FrozenReader(network, {"maxpool1": 8}, arithmetic, cpu, 64)
        bank = FeatureBank(views, {}, reads)
        bank.fill({0: np.arange(1000)})
        features[arithmetic] = bank.read(torch.arange(1000), 0)["maxpool1"].flatten(1)
    exact, rounded = features.values()
    assert 0 < (rounded - exact).norm() / exact.norm() < 0.01
    accuracies = [head_accuracy(values, faces.labels) for values in (exact, rounded)]
    assert accuracies[0] > 0.8
    assert abs(accuracies[0] - accuracies[1]) < 0.005


def head_accuracy(features: torch.Tensor, labels: np.ndarray) -> float:
    """Accuracy of the head on three faces of ten after a short training on the others."""
    labels = torch.from_numpy(labels)
    validation = torch.arange(len(labels)) % 10 < 3
    torch.manual_seed(0)
    head = linear_head(features.shape[1], 3, dropout=0)
    optimizer = torch.optim.AdamW(head.parameters(), lr=1e-3)
    for _ in range(30):
        for batch in (~validation).nonzero().flatten().split(100):
            optimizer.zero_grad()
            loss = torch.nn.functional.cross_entropy(head({"tap": features[batch]}), labels[batch])
            loss.backward()
            optimizer.step()
    predicted = head.eval()({"tap": features[validation]}).argmax(1)
    return (predicted == labels[validation]).float().mean().item()
