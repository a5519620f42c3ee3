"""Which view of which faces is served when, with and without stored features."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from fer_lit.faces.augmentation import Augmentation
from fer_lit.faces.datamodule import FaceDataModule
from fer_lit.faces.face_set import FaceSet
from fer_lit.faces.occlusion import Occlusion, occlude
from fer_lit.faces.split import split_faces
from fer_lit.faces.synthetic import draw_faces
from fer_lit.faces.views import FaceViews

MATLAB = Augmentation(flip=0.5, translate=30, scale=(0.9, 1.1), seed=0)
OFF = Augmentation(flip=0, translate=0, scale=(1, 1), seed=0)
NONE = Occlusion("none", top=0, height=0, left=0, width=48, fill="noise", noise_seed=0)
MOUTH = Occlusion("mouth", top=30, height=10, left=0, width=48, fill="noise", noise_seed=0)


@pytest.fixture(scope="module")
def faces() -> FaceSet:
    return draw_faces(["angry", "happy", "neutral"], 30, seed=0)  # 21 train, 9 validate


def build(faces: FaceSet, **changes) -> FaceDataModule:
    options = {
        "occlusion": NONE,
        "augmentation": MATLAB,
        "image_size": 40,
        "split": split_faces(faces, "paper", validation=0.3, test=0, seed=0),
        "batch_size": 8,
        "views": 2,
    }
    return FaceDataModule(faces, **{**options, **changes})


def in_training(data: FaceDataModule, epoch: int, training: bool = True) -> FaceDataModule:
    data.trainer = SimpleNamespace(training=training, current_epoch=epoch)
    return data


class StubBank:
    """Remembers what was read."""

    numbers = 1024

    def __init__(self):
        self.asked = []

    def read(self, indices, view):
        """Return the indices themselves."""
        self.asked.append((indices.tolist(), view))
        return {"maxpool1": indices.float().view(-1, 1, 1, 1)}


@pytest.mark.parametrize(
    ("views", "augmentation", "wanted"),
    [
        (2, MATLAB, [1, 2, 1, 2, 1]),
        (1, MATLAB, [1, 1, 1, 1, 1]),
        (3, MATLAB, [1, 2, 3, 1, 2]),
        (0, MATLAB, [0, 0, 0, 0, 0]),
        (None, MATLAB, [1, 2, 3, 4, 5]),
        (2, OFF, [0, 0, 0, 0, 0]),
        (None, OFF, [0, 0, 0, 0, 0]),
    ],
)
def test_training_cycles_through_the_views(faces, views, augmentation, wanted):
    data = build(faces, views=views, augmentation=augmentation)
    assert [data.training_view(epoch) for epoch in range(5)] == wanted


@pytest.mark.parametrize(
    ("views", "epochs", "wanted"), [(2, 5, [0, 1, 2]), (2, 1, [0, 1]), (3, 2, [0, 1, 2])]
)
def test_random_views_are_needed_of_the_training_faces_only(faces, views, epochs, wanted):
    data = build(faces, views=views)
    needed = data.needed_views(epochs)
    assert list(needed) == wanted
    np.testing.assert_array_equal(needed.pop(0), data.split.validation)
    for indices in needed.values():
        np.testing.assert_array_equal(indices, data.split.train)


@pytest.mark.parametrize("change", [{"views": 0}, {"augmentation": OFF}])
def test_without_random_views_all_faces_are_needed_as_they_are(faces, change):
    needed = build(faces, **change).needed_views(5)
    assert list(needed) == [0]
    np.testing.assert_array_equal(needed[0], np.arange(30))


@pytest.mark.parametrize(
    ("batch_size", "sizes"),
    [(8, [8, 8, 5]), (7, [7, 7, 7]), (4, [4] * 5), (5, [5] * 4), (20, [20]), (32, [21])],
)
def test_only_a_last_training_batch_of_one_face_is_dropped(faces, batch_size, sizes):
    data = build(faces, batch_size=batch_size)
    assert [len(batch) for batch in data.train_dataloader()] == sizes


def test_validation_serves_every_face_in_order(faces):
    data = build(faces, batch_size=4)
    for loader in (data.val_dataloader(), data.predict_dataloader()):
        batches = list(loader)
        assert [len(batch) for batch in batches] == [4, 4, 1]
        assert torch.cat(batches).tolist() == data.split.validation.tolist()
    assert list(data.test_dataloader()) == []


def test_test_faces_are_served_in_order_and_by_no_other_loader(faces):
    split = split_faces(faces, "paper", validation=0.3, test=0.2, seed=0)
    data = build(faces, batch_size=4, split=split)
    batches = list(data.test_dataloader())
    assert [len(batch) for batch in batches] == [4, 2]
    assert torch.cat(batches).tolist() == split.test.tolist()
    for loader in (data.train_dataloader(), data.val_dataloader(), data.predict_dataloader()):
        assert not set(torch.cat(list(loader)).tolist()) & set(split.test)


def test_test_faces_are_needed_as_they_are(faces):
    split = split_faces(faces, "paper", validation=0.3, test=0.2, seed=0)
    needed = build(faces, split=split).needed_views(2)
    np.testing.assert_array_equal(needed[0], np.sort([*split.validation, *split.test]))
    np.testing.assert_array_equal(needed[1], split.train)


def test_stored_features_validate_in_few_batches(faces):
    data = build(faces, batch_size=4)
    data.bank = StubBank()
    (batch,) = data.val_dataloader()
    assert batch.tolist() == data.split.validation.tolist()
    assert max(len(batch) for batch in data.train_dataloader()) == 4


def test_named_views_take_turns_and_are_averaged_when_faces_are_held_out(faces):
    data = build(faces, views=[0, 3], test_views=[0, 1])
    assert [data.training_view(epoch) for epoch in range(4)] == [0, 3, 0, 3]
    needed = {view: rows.tolist() for view, rows in data.needed_views(4).items()}
    everyone, split = list(range(len(faces))), data.split
    assert needed == {0: everyone, 1: split.validation.tolist(), 3: split.train.tolist()}
    data.trainer = SimpleNamespace(training=False)
    data.bank = StubBank()
    batch = data.on_after_batch_transfer(torch.tensor([7, 0]), 0)
    assert data.bank.asked == [([7, 0], 0), ([7, 0], 1)]
    assert batch.inputs["maxpool1"].flatten().tolist() == [7, 0, 7, 0]


def test_training_serves_every_face_shuffled_anew(faces):
    data = build(faces)
    torch.manual_seed(0)
    first, second = (torch.cat(list(data.train_dataloader())).tolist() for _ in range(2))
    assert sorted(first) == sorted(second) == data.split.train.tolist()
    assert len({tuple(first), tuple(second), tuple(sorted(first))}) == 3


@pytest.mark.parametrize(("training", "view"), [(True, 2), (False, 0)])
def test_a_batch_is_the_occluded_faces_in_the_view_of_the_epoch(faces, training, view):
    data = in_training(build(faces, occlusion=MOUTH), epoch=3, training=training)
    indices = torch.tensor([7, 0, 29])
    batch = data.on_after_batch_transfer(indices, 0)
    wanted = FaceViews(occlude(faces.pixels, MOUTH), MATLAB, 40)(indices, view)
    assert torch.equal(batch.inputs, wanted)
    assert batch.labels.tolist() == [1, 0, 2]
    assert batch.labels.dtype == torch.int64


@pytest.mark.parametrize(("training", "view"), [(True, 2), (False, 0)])
def test_with_a_bank_a_batch_is_the_stored_features(faces, training, view):
    data = in_training(build(faces), epoch=3, training=training)
    data.bank = StubBank()
    batch = data.on_after_batch_transfer(torch.tensor([7, 0, 29]), 0)
    assert data.bank.asked == [([7, 0, 29], view)]
    assert batch.inputs["maxpool1"].flatten().tolist() == [7, 0, 29]
    assert batch.labels.tolist() == [1, 0, 2]
