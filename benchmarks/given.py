"""Makes what all contenders are given: picture files, weights, and the features to compare with."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import torch
from contenders import CLASSES, NETWORKS, TAP, Material
from PIL import Image
from safetensors.torch import save_file
from tables import cores

from fer_lit.errors import ConfigError
from fer_lit.faces.augmentation import AS_THEY_ARE
from fer_lit.faces.listing import list_photographs
from fer_lit.faces.pictures import decode_pictures
from fer_lit.faces.synthetic import draw_faces
from fer_lit.faces.views import FaceViews
from fer_lit.networks.reader import extract_features
from fer_lit.networks.weights import build_backbone, calibrate_batch_norm

_COMPARED = 64  # faces
_CALIBRATION = 256  # faces


def make_material(
    temporary: Path, root: Path | None, count: int, network: str, weights: str | None, size: int
) -> Material:
    """Write faces and weights into a temporary folder.

    Args:
        temporary: an empty folder.
        root: folder of photographs; None draws faces.
        count: number of faces.
        network: `googlenet` or `googlenet_caffe`.
        weights: see `build_backbone`; random ones get BatchNorm statistics from the faces.
        size: height and width of the network's input in pixels.

    Raises:
        ConfigError: too few photographs, or weights that cannot be had.
    """
    backbone = build_backbone(NETWORKS[network], weights)
    folder = temporary / "faces"
    if root:
        _copy_faces(folder, root, count)
    else:
        _write_faces(folder, count)
    pixels = _decode(folder)
    if weights is None:
        few = pixels[_spread(count, _CALIBRATION)]
        calibrate_batch_norm(backbone, as_they_are(few, size))
    np.save(temporary / "faces.npy", pixels)
    save_file(backbone.state_dict(), temporary / "backbone.safetensors")
    return Material(
        folder=folder,
        pixels=temporary / "faces.npy",
        weights=temporary / "backbone.safetensors",
        network=network,
        image_size=size,
        compared=tuple(_spread(count, _COMPARED).tolist()),
        cores=cores(),
    )


def reference_features(material: Material) -> np.ndarray:
    """Return fer-lit's eager float32 features of the compared faces: (faces, channels)."""
    pixels = as_they_are(material.load_pixels()[list(material.compared)], material.image_size)
    features = extract_features(material.load_backbone(), pixels, {TAP: 1}, torch.float32)
    return features[TAP].flatten(1).numpy()


def _write_faces(folder: Path, count: int) -> None:
    """Draw so many faces, and write them as `<emotion>/<number>.png` below a new folder."""
    faces = draw_faces(CLASSES, count, seed=0)
    for i, (pixels, label) in enumerate(zip(faces.pixels, faces.labels, strict=True)):
        path = folder / CLASSES[label] / f"{i:06d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)


def _copy_faces(folder: Path, root: Path, count: int) -> None:
    listing = list_photographs(root, CLASSES, f"--root {root}")
    found = listing.photographs
    if len(found) < count:
        what = "a CSV file" if listing.csv else f"{len(found):,} pictures"
        raise ConfigError(
            f"--root {root}: has {what}, not {count:,} pictures: give a folder of pictures with "
            "enough of them, or a smaller --faces"
        )
    for i in np.random.default_rng(0).permutation(len(found))[:count]:
        photograph = found[i]
        suffix = Path(photograph.name).suffix.lower()
        path = folder / CLASSES[photograph.label] / f"{i:06d}{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(listing.root / photograph.name, path)


def _decode(folder: Path) -> np.ndarray:
    """The faces as uint8, (N, 48, 48), in the order of their files, past fer-lit's cache."""
    decoded = list(decode_pictures(list_photographs(folder, CLASSES)))
    for row in decoded:
        if row.error:
            raise ConfigError(f"{row.name}: cannot be decoded ({row.error}): remove it")
    return np.stack([row.pixels for row in decoded])


def as_they_are(pixels: np.ndarray, size: int) -> torch.Tensor:
    """Return faces without augmentation as fer-lit resizes them: float32, (N, 1, size, size)."""
    return FaceViews(pixels, AS_THEY_ARE, size)(torch.arange(len(pixels)), view=0)


def _spread(count: int, most: int) -> np.ndarray:
    """At most so many indices, evenly over all, as faces are sorted by emotion."""
    return np.linspace(0, count - 1, min(most, count)).astype(int)
