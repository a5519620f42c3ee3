"""Draws pairs of faces at each distance of their hashes: which are one photograph?"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
from contenders import CLASSES
from PIL import Image, ImageDraw
from tables import environment, markdown_table

from fer_lit.faces.duplicates import hash_signs
from fer_lit.faces.photographs import Photographs

_CHUNK = 256  # faces compared with all others at once
_ACROSS, _DOWN = 5, 10  # pairs of a sheet
_SIDE, _NUMBER = 96, 32  # pixels of a face, and of the number in front of its pair
_WIDTH, _HEIGHT = _NUMBER + 2 * _SIDE + 12, _SIDE + 6


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of this sub-command."""
    parser.add_argument("--root", required=True, metavar="FOLDER", help="photographs")
    parser.add_argument("--classes", nargs="+", default=CLASSES)
    parser.add_argument("--bits", type=int, nargs=2, default=(50, 80), metavar=("LOW", "HIGH"))
    parser.add_argument("--pairs", type=int, default=100, help="at most, for each distance")
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="for the sheets")


def run(arguments: argparse.Namespace) -> None:
    """Draw `<bits>_<number>.png`, and print how many pairs there are at each distance."""
    source = Photographs(arguments.root, arguments.classes, on_bad_image="error", download=False)
    # Each photograph once, or its exact copies would fill the sheets.
    faces = np.unique(source.load().pixels, axis=0)
    hashed, signs = hash_signs(faces)
    pairs = _close_pairs(signs, signs, arguments.bits)
    mirrored = _close_pairs(signs, hash_signs(faces[hashed, :, ::-1])[1], arguments.bits)
    random = np.random.default_rng(0)
    arguments.out.mkdir(parents=True, exist_ok=True)
    rows = []
    for bits in np.unique(np.concatenate([pairs[:, 2], mirrored[:, 2]])):
        found = pairs[pairs[:, 2] == bits, :2]
        shown = random.permutation(found)[: arguments.pairs]
        for first in range(0, len(shown), _ACROSS * _DOWN):
            sheet = _draw(faces[hashed[shown]], first)
            sheet.save(arguments.out / f"{bits:03d}_{first // (_ACROSS * _DOWN) + 1}.png")
        rows.append(
            {
                "bits that differ": f"{bits}",
                "pairs": f"{len(found):,}",
                "drawn": f"{len(shown)}",
                "pairs of a face and a mirror image": f"{(mirrored[:, 2] == bits).sum():,}",
            }
        )
    sys.stdout.write(f"{markdown_table(rows)}\n\n{environment()}\n")


def _close_pairs(signs: np.ndarray, others: np.ndarray, bits: tuple[int, int]) -> np.ndarray:
    """Return each pair once, int64, (P, 3): one, the other, and the bits that differ."""
    low, high = bits
    found = []
    for start in range(0, len(signs), _CHUNK):
        agreement = signs[start : start + _CHUNK] @ others.T
        distance = ((signs.shape[1] - agreement) / 2).astype(np.int64)
        one, other = np.nonzero((distance >= low) & (distance <= high))
        triples = np.stack([one + start, other, distance[one, other]], axis=1)
        found.append(triples[triples[:, 0] < triples[:, 1]])
    return np.concatenate(found)


def _draw(pairs: np.ndarray, first: int) -> Image.Image:
    """Return a sheet of the pairs (uint8, (P, 2, 48, 48)) from the first on, numbered."""
    sheet = Image.new("L", (_ACROSS * _WIDTH, _DOWN * _HEIGHT), "white")
    pen = ImageDraw.Draw(sheet)
    for place, pair in enumerate(pairs[first : first + _ACROSS * _DOWN]):
        down, across = divmod(place, _ACROSS)
        left, top = across * _WIDTH, down * _HEIGHT
        pen.text((left + 4, top + _SIDE // 2), f"{first + place}", fill="black")
        for side, face in enumerate(pair):
            large = Image.fromarray(face).resize((_SIDE, _SIDE), Image.Resampling.BICUBIC)
            sheet.paste(large, (left + _NUMBER + side * (_SIDE + 2), top))
    return sheet
