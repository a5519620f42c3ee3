"""Exact pixels of every occlusion."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from omegaconf import OmegaConf
from scipy.ndimage import gaussian_filter
from scipy.stats import chisquare

from fer_lit.errors import ConfigError
from fer_lit.faces.occlusion import FILLS, Occlusion, occlude
from fer_lit.targets import build

CONF = Path(__file__).parents[1] / "conf" / "occlusion"
NAMES = sorted(path.stem for path in CONF.glob("*.yaml"))
PAPER = {"none": None, "eyes": 10, "nose": 20, "mouth": 30}
"""First row of the paper's bands, which are 48 wide and 10 high."""
WHOLE = Occlusion("whole", top=0, height=48, left=0, width=48, fill="noise", noise_seed=0)


def configured(name: str) -> Occlusion:
    return build(OmegaConf.load(CONF / f"{name}.yaml"))


def faces(count: int) -> np.ndarray:
    return np.random.default_rng(7).integers(0, 256, (count, 48, 48), dtype=np.uint8)


def noise(count: int, seed: int = 0) -> np.ndarray:
    """The endless stream in which each face owns 48×48 bytes, cut after `count` faces."""
    return np.random.default_rng(seed).integers(0, 256, (count, 48, 48), dtype=np.uint8)


def wanted_fill(pixels: np.ndarray, fill: str) -> np.ndarray:
    """What a band over the whole face shows, computed face by face."""
    if fill == "noise":
        return noise(len(pixels))
    each = {
        "black": lambda face: 0,
        "gray": lambda face: 128,
        "mean": lambda face: np.rint(face.mean(dtype=np.float64)),
        "blur": lambda face: np.rint(gaussian_filter(face.astype(np.float32), sigma=4.0)),
    }[fill]
    return np.stack([np.broadcast_to(each(face), (48, 48)) for face in pixels]).astype(np.uint8)


@pytest.mark.parametrize("name", PAPER)
def test_the_bands_of_the_paper_are_exactly_its_bands(name):
    pixels, occlusion = faces(5), configured(name)
    wanted = pixels.copy()
    if (top := PAPER[name]) is not None:
        wanted[:, top : top + 10, :] = noise(5)[:, top : top + 10, :]
    np.testing.assert_array_equal(occlude(pixels, occlusion), wanted)
    assert (occlusion.name, occlusion.fill, occlusion.noise_seed) == (name, "noise", 0)


@pytest.mark.parametrize("name", NAMES)
def test_every_configured_occlusion_covers_what_it_says_and_nothing_else(name):
    pixels, conf = faces(5), OmegaConf.load(CONF / f"{name}.yaml")
    wanted = pixels.copy()
    rows = slice(conf.top, conf.top + conf.height)
    columns = slice(conf.left, conf.left + conf.width)
    wanted[:, rows, columns] = wanted_fill(pixels, conf.fill)[:, rows, columns]
    np.testing.assert_array_equal(occlude(pixels, configured(name)), wanted)
    assert conf.name == {"band": "band0"}.get(name, name)


def test_all_occlusions_have_the_same_keys():
    assert set(PAPER) | {"forehead", "mask", "sunglasses", "band"} <= set(NAMES)
    keys = {name: list(OmegaConf.load(CONF / f"{name}.yaml")) for name in NAMES}
    assert set(map(tuple, keys.values())) == {tuple(keys["none"])}


def test_a_mask_covers_the_mouth_and_sunglasses_the_eyes_but_not_the_reverse():
    eyes, mouth = (slice(14, 18), slice(12, 36)), (slice(31, 40), slice(12, 36))
    white = np.full((1, 48, 48), 255, np.uint8)
    mask = occlude(white, configured("mask"))[0]
    glasses = occlude(white, configured("sunglasses"))[0]
    assert (mask[mouth] != 255).all()
    assert (mask[eyes] == 255).all()
    assert (glasses[eyes] != 255).all()
    assert (glasses[mouth] == 255).all()


def test_noise_is_uniform_from_0_to_255():
    values = occlude(np.zeros((300, 48, 48), np.uint8), configured("eyes"))[:, 10:20]
    counts = np.bincount(values.ravel(), minlength=256)
    assert len(counts) == 256
    assert counts.min() > 0
    assert 0.001 < chisquare(counts).pvalue < 0.999  # 144,000 draws, 256 levels
    assert abs(values.mean() - 127.5) < 1


@pytest.mark.parametrize("count", [1, 3, 2047, 2048, 2049, 4097])
def test_the_noise_of_a_face_does_not_depend_on_how_many_there_are(count):
    covered = occlude(np.zeros((count, 48, 48), np.uint8), WHOLE)
    np.testing.assert_array_equal(covered, noise(4097)[:count])


def test_the_noise_of_a_face_does_not_depend_on_the_band():
    pixels = faces(3)
    part = replace(WHOLE, top=7, height=3, left=11, width=5)
    covered = occlude(pixels, part)
    np.testing.assert_array_equal(covered[:, 7:10, 11:16], noise(3)[:, 7:10, 11:16])


def test_each_face_and_each_noise_seed_has_noise_of_its_own():
    black = np.zeros((4, 48, 48), np.uint8)
    first, other = occlude(black, WHOLE), occlude(black, replace(WHOLE, noise_seed=1))
    drawn = np.concatenate([first, other]).reshape(8, -1).astype(float)
    correlation = np.corrcoef(drawn) - np.eye(8)
    assert abs(correlation).max() < 0.1  # 2,304 pixels: a standard error of 0.02


@pytest.mark.parametrize("fill", FILLS)
def test_each_fill_has_exactly_its_values(fill):
    pixels = faces(4)
    pixels[1] //= 2  # faces of different brightness
    covered = occlude(pixels, replace(WHOLE, top=20, height=9, left=3, width=30, fill=fill))
    wanted = pixels.copy()
    wanted[:, 20:29, 3:33] = wanted_fill(pixels, fill)[:, 20:29, 3:33]
    np.testing.assert_array_equal(covered, wanted)


def test_the_mean_is_that_of_the_face_and_rounded():
    pixels = np.zeros((2, 48, 48), np.uint8)
    pixels[0, :12], pixels[1, :24] = 200, 101  # means 50 and 50.5, which is rounded to even
    pixels[1, 0, 0] = 102  # a little above 50.5
    covered = occlude(pixels, replace(WHOLE, fill="mean"))
    assert [set(face.ravel().tolist()) for face in covered] == [{50}, {51}]


@pytest.mark.parametrize("fill", FILLS)
def test_the_faces_given_are_not_changed(fill):
    pixels = faces(2)
    pixels.setflags(write=False)
    before = pixels.copy()
    covered = occlude(pixels, replace(WHOLE, fill=fill))
    assert covered.dtype == np.uint8
    assert not np.array_equal(covered, before)
    np.testing.assert_array_equal(pixels, before)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"top": 39, "height": 10}, ("occlusion.top=39", "occlusion.height=10", "39 to 48")),
        ({"top": -1, "height": 10}, ("occlusion.top=-1", "0 to 47")),
        ({"height": -3}, ("occlusion.height=-3",)),
        ({"height": 49}, ("occlusion.height=49",)),
        ({"left": 1, "width": 48}, ("occlusion.left=1", "occlusion.width=48", "1 to 48")),
        ({"left": -2, "width": 4}, ("occlusion.left=-2",)),
        ({"width": -1}, ("occlusion.width=-1",)),
        ({"fill": "white"}, ("occlusion.fill=white", *FILLS)),
    ],
)
def test_a_band_outside_the_face_and_an_unknown_fill_are_errors(change, words):
    with pytest.raises(ConfigError) as error:
        replace(WHOLE, **change)
    message = str(error.value)
    assert "\n" not in message
    assert [word for word in words if word not in message] == []


@pytest.mark.parametrize("change", [{"top": 38, "height": 10}, {"left": 47, "width": 1}])
def test_a_band_may_touch_the_edge(change):
    covered = occlude(np.full((1, 48, 48), 255, np.uint8), replace(WHOLE, fill="black", **change))
    assert (covered == 0).sum() == {"top": 10 * 48, "left": 48}[next(iter(change))]


def test_identity_is_everything_but_the_name():
    assert WHOLE.identity == replace(WHOLE, name="other").identity
    for change in ("top", "height", "left", "width", "noise_seed"):
        small = replace(WHOLE, height=5, width=5)
        other = replace(small, **{change: 3})
        assert other.identity != small.identity
    assert replace(WHOLE, fill="black").identity != WHOLE.identity
