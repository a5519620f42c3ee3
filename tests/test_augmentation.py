"""Draws that depend on (seed, view, face) alone, and the one resampling that applies them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from omegaconf import OmegaConf
from torch import Tensor

from fer_lit.faces.augmentation import Augmentation
from fer_lit.faces.views import FaceViews, resample
from fer_lit.targets import build

CONF = Path(__file__).parents[1] / "conf" / "augmentation"
MATLAB = Augmentation(flip=0.5, translate=30, scale=(0.9, 1.1), seed=0)


def faces(count: int) -> Tensor:
    generator = torch.Generator().manual_seed(5)
    return torch.randint(0, 256, (count, 48, 48), generator=generator, dtype=torch.uint8)


def dot(row: int = 24, column: int = 24) -> Tensor:
    face = torch.zeros(1, 48, 48, dtype=torch.uint8)
    face[0, row, column] = 255
    return face


def draws(flip: float = 1, x: float = 0, y: float = 0, scale: float = 1) -> Tensor:
    """One row; x and y in pixels of a 224-pixel input."""
    return torch.tensor([[flip, x / 112, y / 112, scale]])


def configured(name: str) -> Augmentation:
    return build(OmegaConf.load(CONF / f"{name}.yaml"))


@pytest.mark.parametrize("size", [32, 48, 96, 97, 224])
def test_view_0_is_the_face_enlarged_bilinearly(size):
    pixels = faces(3)
    wanted = F.interpolate(pixels[:, None].float(), size=(size, size), mode="bilinear")
    found = resample(pixels, MATLAB.draw(0, 3), size)
    torch.testing.assert_close(found, wanted, rtol=0, atol=2e-3)
    assert found.dtype == torch.float32


@pytest.mark.parametrize("size", [48, 97, 224])
def test_a_reflection_is_the_exact_mirror_image(size):
    pixels = faces(2)
    straight = resample(pixels, MATLAB.draw(0, 2), size)
    mirrored = resample(pixels, draws(flip=-1).expand(2, 4), size)
    torch.testing.assert_close(mirrored, straight.flip(-1), rtol=0, atol=2e-3)


@pytest.mark.parametrize("size", [112, 224, 448])
@pytest.mark.parametrize("flip", [1, -1])
@pytest.mark.parametrize(("x", "y"), [(30, 0), (0, 30), (30, -16), (-30, 30)])
def test_a_shift_moves_right_and_down_by_that_many_pixels(size, flip, x, y):
    right, down = x * size // 224, y * size // 224
    place = dot(24, 24 if flip == 1 else 23)
    still = resample(place, draws(flip=flip), size)
    moved = resample(place, draws(flip=flip, x=x, y=y), size)
    assert still.max() > 150
    torch.testing.assert_close(moved, still.roll((down, right), dims=(-2, -1)), rtol=0, atol=0.05)


def test_a_pixel_of_the_face_moves_to_its_neighbour():
    moved = resample(dot(20, 10), torch.tensor([[1, 2 * 5 / 48, 2 * 3 / 48, 1]]), 48)
    torch.testing.assert_close(moved[0], dot(23, 15).float(), rtol=0, atol=1e-2)


def test_scale_2_doubles_distances_from_the_centre():
    columns = torch.arange(48, dtype=torch.float32)
    ramp = (5 * columns).to(torch.uint8).expand(1, 48, 48)
    found = resample(ramp, draws(scale=2), 48)[0, 0]
    wanted = 5 * (23.5 + (columns - 23.5) / 2)
    torch.testing.assert_close(found, wanted.expand(48, 48), rtol=0, atol=1e-3)
    found = resample(ramp.mT, draws(scale=2), 48)[0, 0]
    torch.testing.assert_close(found, wanted.expand(48, 48).mT, rtol=0, atol=1e-3)


@pytest.mark.parametrize("size", [64, 40])
def test_all_draws_together_give_what_grid_sample_gives(size):
    faces = torch.randint(0, 256, (20, 48, 48), dtype=torch.uint8)
    draws = Augmentation(flip=0.5, translate=30, scale=(0.5, 1.5), seed=0).draw(1, 20)
    reflection, shift_x, shift_y, scale = draws.unbind(1)
    maps = torch.zeros(20, 2, 3)
    maps[:, 0, 0], maps[:, 0, 2] = reflection / scale, -reflection * shift_x / scale
    maps[:, 1, 1], maps[:, 1, 2] = 1 / scale, -shift_y / scale
    grid = torch.nn.functional.affine_grid(maps, [20, 1, size, size], align_corners=False)
    wanted = torch.nn.functional.grid_sample(
        faces[:, None].float(), grid, padding_mode="border", align_corners=False
    )
    wanted *= (grid.abs() <= 1).all(-1)[:, None]
    torch.testing.assert_close(resample(faces, draws, size), wanted, rtol=0, atol=0.01)


def test_outside_of_the_face_is_black():
    white = torch.full((1, 48, 48), 255, dtype=torch.uint8)
    halved = torch.zeros(48, 48)
    halved[12:36, 12:36] = 255
    torch.testing.assert_close(resample(white, draws(scale=0.5), 48)[0, 0], halved)
    shifted = torch.zeros(224, 224)
    shifted[:194, 30:] = 255
    torch.testing.assert_close(resample(white, draws(x=30, y=-30), 224)[0, 0], shifted)


def test_the_draws_of_a_face_do_not_depend_on_the_number_of_faces():
    many = MATLAB.draw(3, 1000)
    for count in (1, 2, 17, 999):
        assert torch.equal(MATLAB.draw(3, count), many[:count])


def test_draws_depend_on_seed_and_view_and_on_no_global_state():
    tables = {
        (seed, view): replace(MATLAB, seed=seed).draw(view, 50)
        for seed in range(3)
        for view in range(1, 4)
    }
    for key, table in tables.items():
        equal = [other for other, drawn in tables.items() if torch.equal(table, drawn)]
        assert equal == [key]
    torch.manual_seed(1)
    np.random.default_rng(1)
    assert torch.equal(MATLAB.draw(2, 50), tables[0, 2])


def test_draws_are_uniform_within_their_bounds():
    flip, x, y, scale = MATLAB.draw(1, 20_000).double().unbind(1)
    assert set(flip.tolist()) == {-1.0, 1.0}
    assert (flip == -1).double().mean() == pytest.approx(0.5, abs=0.015)
    for values, low, high in ((112 * x, -30, 30), (112 * y, -30, 30), (scale, 0.9, 1.1)):
        unit = (values - low) / (high - low)
        assert -1e-6 <= unit.min() < 0.001
        assert 0.999 < unit.max() <= 1 + 1e-6
        assert unit.mean() == pytest.approx(0.5, abs=0.01)
        assert unit.var() == pytest.approx(1 / 12, abs=0.002)
    correlation = torch.corrcoef(torch.stack([flip, x, y, scale])) - torch.eye(4)
    assert correlation.abs().max() < 0.03


@pytest.mark.parametrize("probability", [0.0, 0.2, 1.0])
def test_flip_is_a_probability(probability):
    flip = replace(MATLAB, flip=probability).draw(1, 10_000)[:, 0]
    assert (flip == -1).float().mean() == pytest.approx(probability, abs=0.012)


@pytest.mark.parametrize(
    ("part", "columns", "at_rest"),
    [({"flip": 0}, [0], 1), ({"translate": 0}, [1, 2], 0), ({"scale": (1, 1)}, [3], 1)],
)
def test_each_part_can_be_off_and_leaves_the_others_alone(part, columns, at_rest):
    full, without = MATLAB.draw(1, 100), replace(MATLAB, **part).draw(1, 100)
    assert (without[:, columns] == at_rest).all()
    others = [column for column in range(4) if column not in columns]
    assert torch.equal(without[:, others], full[:, others])
    assert replace(MATLAB, **part).changes_faces


@pytest.mark.parametrize(
    ("parts", "changes"),
    [
        ({}, False),
        ({"flip": 0.1}, True),
        ({"translate": 1}, True),
        ({"scale": [1, 1.1]}, True),
        ({"scale": [1.1, 1.1]}, True),
        ({"scale": [1, 1]}, False),
        ({"seed": 4}, False),
    ],
)
def test_changes_faces_says_whether_any_part_is_on(parts, changes):
    off = Augmentation(flip=0, translate=0, scale=(1, 1), seed=0)
    assert replace(off, **parts).changes_faces is changes


def test_the_configurations_are_matlabs_and_none():
    matlab, none = configured("matlab"), configured("none")
    assert (matlab.flip, matlab.translate, tuple(matlab.scale)) == (0.5, 30, (0.9, 1.1))
    assert not none.changes_faces
    assert torch.equal(none.draw(1, 9), none.draw(0, 9))


@pytest.mark.parametrize("view", [0, 1, 2])
def test_what_the_network_sees_does_not_depend_on_the_batch_or_its_order(view):
    views = FaceViews(faces(40).numpy(), MATLAB, 64)
    together = views(torch.arange(40), view)
    shuffled = torch.randperm(40, generator=torch.Generator().manual_seed(0))
    assert torch.equal(views(shuffled, view), together[shuffled])
    for indices in ([39], [7, 3], [0, 1, 2], [5, 5, 5]):
        assert torch.equal(views(torch.tensor(indices), view), together[indices])


def test_views_apply_the_draws_of_the_face():
    pixels = faces(6)
    views = FaceViews(pixels.numpy(), MATLAB, 64)
    assert len(views) == 6
    for view in (0, 1, 2):
        drawn = MATLAB.draw(view, 6)[4:5]
        assert torch.equal(views(torch.tensor([4]), view), resample(pixels[4:5], drawn, 64))


def test_views_are_of_the_size_asked_for_and_within_0_to_255():
    found = FaceViews(faces(8).numpy(), MATLAB, 50)(torch.arange(8), 1)
    assert found.shape == (8, 1, 50, 50)
    assert found.dtype == torch.float32
    assert found.min() >= 0
    assert found.max() <= 255.001
