"""Which faces are the same photograph: pixel for pixel, or nearly so."""

import logging
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import imagehash
import numpy as np
from PIL import Image
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from fer_lit.cache import cache_folder
from fer_lit.faces.face_set import SIZE, FaceSet
from fer_lit.files import remove, replacing

log = logging.getLogger(__name__)

FORMAT = 2  # count up when the groups change
NEAR = 60
"""Of 256 bits, how many may differ between near duplicates; two hashes differ in an even number.

Up to this distance at least 95 % of the pairs that lie equally far apart are one photograph:
compressed, brightened, cropped, shifted or drawn over, while another shot of the same person counts
as another photograph. Looked at were pairs of FER-2013, shuffled, their distances unknown: all of
193 pairs below 56 bits are one photograph, of 100 pairs each 98 at 56 and 58, 96 at 60 (95 %
interval 90 to 98), 94 at 62, 85 at 64, and 25 of 72 at 70. Chance begins here, too: of faces paired
with the mirror images of others, three pairs of 17,692 faces are as close and two photographs.
"""

_HASH_SIDE = 16  # lowest frequencies in each direction; their signs are the bits
_CHUNK = 256  # faces compared with all others at once: at most 20 MB for 20,000 faces


@dataclass(frozen=True)
class Duplicates:
    """The group that each of N faces is in; faces without a duplicate are groups of one.

    Attributes:
        exact: int64, (N,); faces of one group have equal pixels.
        near: int64, (N,), from 0 without a gap; a group is joined by exact and near duplicates, so
            that its first and last may differ more than any two neighbours.
    """

    exact: np.ndarray
    near: np.ndarray

    def across(self, train: np.ndarray, others: np.ndarray) -> dict[str, int]:
        """Return how many of `others` are in a group that is trained on, too; both are indices.

        `near` includes the `exact` ones.
        """
        return {
            kind: int(np.isin(groups[others], groups[train]).sum())
            for kind, groups in vars(self).items()
        }


def find_duplicates(faces: FaceSet) -> Duplicates:
    """Return the groups of duplicates; found once, they are kept below the cache `duplicates`.

    Two faces are near duplicates if at most `NEAR` of the 256 bits of their perceptual hashes
    differ: pHash (Zauner, "Implementation and Benchmarking of Perceptual Image Hash Functions",
    2010), the low frequencies of the cosine transform against their median, as ImageHash computes
    it. Mirror images do not count (FER-2013 has five pairs). Blank faces have no hash and can only
    be exact duplicates.
    """
    path = cache_folder("duplicates") / f"{faces.fingerprint}_{FORMAT}.npz"
    groups = _read(path, len(faces))
    if groups is None:
        exact = _equal_faces(faces.pixels)
        groups = np.stack([exact, _join_near(faces.pixels, exact)])
        if path.exists():
            log.warning(f"The duplicates in {path} are damaged; finding them again")
            remove(path)
        with replacing(path) as aside, aside.open("wb") as file:
            np.savez(file, groups=groups)
    return Duplicates(*groups)


def _read(path: Path, count: int) -> np.ndarray | None:
    """Return the stored groups, or None if missing or damaged, which a zip file's CRC tells."""
    if not path.is_file():  # a pipe would be waited for
        return None
    try:
        with path.open("rb") as file:
            groups = np.load(file, allow_pickle=False)["groups"]
    except (OSError, ValueError, EOFError, LookupError, BadZipFile):
        return None
    return groups if groups.shape == (2, count) and groups.dtype == np.int64 else None


def _equal_faces(pixels: np.ndarray) -> np.ndarray:
    numbers: dict[bytes, int] = {}
    return np.array([numbers.setdefault(face.tobytes(), len(numbers)) for face in pixels], np.int64)


def hash_signs(pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return which of the faces (uint8, (N, 48, 48)) are not blank, int64, (M,), and their hashes.

    A hash is float32, (256,), −1 or 1 for each bit, so that a product of two hashes is the number
    of equal bits less that of different ones.
    """
    flat = pixels.reshape(len(pixels), -1)
    hashed = np.flatnonzero(flat.max(axis=1) > flat.min(axis=1))
    bits = np.array([_hash(pixels[i]) for i in hashed], np.float32).reshape(-1, _HASH_SIDE**2)
    return hashed, 2 * bits - 1


def _join_near(pixels: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Return `groups`, those with near duplicates made one."""
    hashed, signs = hash_signs(pixels)
    for start in range(0, len(hashed), _CHUNK):
        agreement = signs[start : start + _CHUNK] @ signs[start:].T
        one, other = np.nonzero(agreement >= _HASH_SIDE**2 - 2 * NEAR)
        one, other = (groups[hashed[start + indices]] for indices in (one, other))
        links = coo_array((np.ones(len(one), bool), (one, other)), shape=(len(pixels),) * 2)
        # Group numbers are below the number of faces; those not in use become groups of nobody.
        groups = connected_components(links, directed=False)[1][groups]
    return np.unique(groups, return_inverse=True)[1].astype(np.int64)


def _hash(face: np.ndarray) -> np.ndarray:
    """Return the bits of a face's hash, from its own 48 rows and columns."""
    factor = SIZE // _HASH_SIDE
    return imagehash.phash(Image.fromarray(face), _HASH_SIDE, factor).hash.ravel()
