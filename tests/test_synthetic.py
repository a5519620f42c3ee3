"""Drawn faces: what they depend on, and the known answer of the occlusion experiment."""

import numpy as np
import pytest
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from fer_lit.errors import ConfigError
from fer_lit.faces import synthetic
from fer_lit.faces.synthetic import EYES, MOUTH, draw_faces

THREE = ("angry", "happy", "neutral")
SEVEN = ("angry", "disgust", "fear", "happy", "neutral", "sad", "surprise")


def test_a_face_set_of_balanced_emotions():
    faces = draw_faces(SEVEN, 100, seed=1)
    assert faces.pixels.shape == (100, 48, 48)
    assert faces.pixels.dtype == np.uint8
    assert faces.labels.dtype == np.int64
    assert set(faces.counts.values()) == {14, 15}
    assert faces.classes == SEVEN
    assert faces.names[99] == "synthetic/000099"
    assert faces.parts == ("",) * 100
    assert faces.origin == "synthetic"


def test_faces_differ_and_none_is_blank():
    faces = draw_faces(THREE, 300, seed=0)
    assert faces.duplicates == faces.blank == 0
    means = faces.pixels.mean(axis=(1, 2))
    assert means.std() > 15
    assert faces.pixels.std(axis=(1, 2)).min() > 5


def test_a_face_does_not_depend_on_how_many_are_drawn():
    many = draw_faces(THREE, 150, seed=3)
    for count in (1, 63, 65, 149):
        np.testing.assert_array_equal(draw_faces(THREE, count, seed=3).pixels, many.pixels[:count])


def test_a_face_depends_on_its_emotion_but_not_on_the_list_of_emotions():
    mixed, happy = draw_faces(THREE, 30, seed=0), draw_faces(["happy"], 30, seed=0)
    chosen = mixed.labels == THREE.index("happy")
    np.testing.assert_array_equal(mixed.pixels[chosen], happy.pixels[chosen])


def test_another_seed_draws_other_faces():
    assert draw_faces(THREE, 3, seed=0).fingerprint == draw_faces(THREE, 3, seed=0).fingerprint
    assert (
        (draw_faces(THREE, 3, seed=0).pixels != draw_faces(THREE, 3, seed=1).pixels)
        .any((1, 2))
        .all()
    )


@pytest.mark.parametrize("emotion", [emotion for emotion in SEVEN if emotion != "neutral"])
def test_the_emotion_changes_mouth_and_eyes_and_nothing_else(emotion):
    neutral = draw_faces(["neutral"], 200, seed=5).pixels.astype(int)
    change = np.abs(draw_faces([emotion], 200, seed=5).pixels - neutral)
    mouth, eyes = change[:, MOUTH].sum((1, 2)), change[:, EYES].sum((1, 2))
    assert (mouth > 0).all()
    assert (eyes > 0).mean() > 0.9
    change[:, MOUTH] = change[:, EYES] = 0
    assert not change.any()


def test_the_bands_hardly_cut_anything(monkeypatch):
    """Painting keeps to the rows of a band: what would lie beyond them must be next to nothing."""
    cut = draw_faces(SEVEN, 700, seed=2).pixels.astype(int)
    for band in ("EYES", "NOSE", "MOUTH"):
        monkeypatch.setattr(synthetic, band, slice(0, 48))
    whole = draw_faces(SEVEN, 700, seed=2).pixels.astype(int)
    beyond = np.abs(whole - cut).max(axis=(1, 2))
    assert (beyond > 30).mean() < 0.05


@pytest.mark.parametrize("classes", [["angry", "smug"], ["Happy"]])
def test_an_emotion_that_cannot_be_drawn_is_named(classes):
    with pytest.raises(ConfigError, match=rf"data\.classes.*'{classes[-1]}'.*choose from angry"):
        draw_faces(classes, 10, seed=0)


def test_the_known_answer_of_the_occlusion_experiment():
    """A linear classifier loses most without the mouth, and little without the nose."""
    faces = draw_faces(THREE, 3000, seed=0)
    noise = np.random.default_rng(0).integers(0, 256, (3000, 10, 48))
    accuracy = {}
    for name, top in {"none": None, "eyes": 10, "nose": 20, "mouth": 30}.items():
        pixels = faces.pixels.astype(float)
        if top is not None:
            pixels[:, top : top + 10] = noise
        small = pixels.reshape(3000, 24, 2, 24, 2).mean(axis=(2, 4)).reshape(3000, -1)
        small = (small - small.mean(1, keepdims=True)) / small.std(1, keepdims=True)
        model = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.1)
        model.fit(small[:2100], faces.labels[:2100])
        accuracy[name] = model.score(small[2100:], faces.labels[2100:])
    assert accuracy["none"] > 0.8
    assert accuracy["none"] > accuracy["eyes"] > accuracy["mouth"] + 0.1
    assert accuracy["none"] - accuracy["nose"] < 0.5 * (accuracy["none"] - accuracy["mouth"])
    assert 0.4 < accuracy["mouth"] < 0.75
