"""Drawn faces, for which the right answer of the occlusion experiment is known.

A face has three parts, each inside one of the paper's bands: eyes and brows in rows 10-19, the nose
in rows 20-29, the mouth in rows 30-39. The emotion changes the mouth most plainly, the eyes and
brows less, and nothing else: faces of the same seed and number are identical, pixel for pixel, in
all other rows, whatever they express. So hiding the mouth must cost the most accuracy, and hiding
the nose nearly none.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from types import SimpleNamespace as Values
from typing import NamedTuple

import numpy as np

from fer_lit import paper
from fer_lit.errors import ConfigError
from fer_lit.faces.face_set import SIZE, FaceSet
from fer_lit.limits import SEED, Rule, check_rules, whole

EYES, NOSE, MOUTH = paper.BANDS.values()
"""The rows that hold each part."""


class _Expression(NamedTuple):
    """What an emotion at full strength adds to a face at rest; lengths in pixels."""

    mouth_curve: float = 0.0  # corners up: how far they rise above the middle
    mouth_opening: float = 0.0  # half the gap between the lips
    mouth_width: float = 0.0  # added to half the width
    mouth_skew: float = 0.0  # one corner up, the other down
    brow_lift: float = 0.0
    brow_slope: float = 0.0  # inner ends down (anger) or up (sadness, negative)
    eye_opening: float = 0.0  # added to half the height of the eye


_EXPRESSIONS = {
    "angry": _Expression(-2.2, 0.0, -0.8, 0.0, -0.5, 1.0, -0.2),
    "disgust": _Expression(-1.8, 1.1, -0.4, 1.6, -0.6, 0.5, -0.6),
    "fear": _Expression(-0.6, 1.6, 0.8, 0.0, 0.5, -0.9, 0.5),
    "happy": _Expression(2.4, 0.7, 1.2, 0.0, 0.2, -0.2, -0.3),
    "neutral": _Expression(),
    "sad": _Expression(-2.4, 0.0, -0.2, 0.0, 0.1, -1.4, -0.4),
    "surprise": _Expression(0.0, 3.1, -2.6, 0.0, 0.7, -0.1, 0.7),
}

# Every trait is uniform within (middle, reach); none of them knows the emotion. Lengths in pixels,
# tones in grey levels; the origin is the centre of the picture, y points down.
_TRAITS = {
    "shift_x": (0.0, 1.8),
    "shift_y": (0.0, 0.7),
    "roll": (0.0, 0.06),  # sine of the angle
    "scale": (1.0, 0.04),
    "background": (110, 90),
    "skin": (165, 40),
    "hair": (60, 50),
    "head_width": (17.5, 1.5),
    "head_height": (21.5, 1.0),
    "jaw": (0.22, 0.12),  # how much narrower the head is at the chin
    "hairline": (-15.6, 1.0),
    "parting": (0.0, 0.12),  # slope of the hairline
    "hair_length": (2.0, 14.0),
    "hair_volume": (1.6, 0.9),
    "shirt": (110, 90),
    "eye_distance": (7.0, 0.8),  # from the middle of the face
    "eye_width": (3.1, 0.4),
    "eye_opening": (1.5, 0.25),
    "iris": (45, 30),
    "gaze": (0.0, 0.7),
    "brow_half_length": (3.7, 0.5),
    "brow_thickness": (0.6, 0.2),  # half of it
    "brow_lift": (0.0, 0.3),
    "brow_slope": (0.0, 0.5),
    "brow_arch": (0.4, 0.4),
    "nose_width": (2.4, 0.6),
    "nose_length": (3.8, 0.6),
    "nose_shadow": (30, 12),
    "nose_side": (0.0, 1.0),  # which side of the bridge is in shadow
    "mouth_half_width": (6.3, 0.8),
    "mouth_curve": (0.0, 0.8),
    "mouth_opening": (0.25, 0.25),
    "lip": (0.8, 0.25),
    "lip_shadow": (48, 16),
    "beard": (12, 12),
    "mouth_strength": (0.85, 0.45),  # 1: the expression of the table above
    "eyes_strength": (0.65, 0.55),
    "brightness": (0.0, 12.0),
    "contrast": (0.88, 0.14),
    "light_x": (0.0, 0.011),  # per pixel
    "light_y": (0.0, 0.008),
    "grain": (6.0, 3.0),  # standard deviation of the pixel noise
}

_AXIS = np.arange(SIZE, dtype=np.float32) - (SIZE - 1) / 2  # x or y of the pixels
_CHUNK = 64  # faces drawn at once: their arrays stay in the processor's cache


_RULES = (Rule("count", *whole(20, 1_000_000)), Rule("seed", *SEED))


@dataclass(frozen=True)
class DrawnFaces:
    """The source of faces that the program draws: see `draw_faces`; `count` is 20 or more."""

    classes: Sequence[str]
    count: int
    seed: int

    def __post_init__(self):
        check_rules("data", vars(self), _RULES)
        check_drawable(self.classes)

    def is_there(self) -> bool:
        """Return whether the faces can be had: always."""
        return True

    def load(self) -> FaceSet:
        """Return the faces."""
        return draw_faces(self.classes, self.count, self.seed)


def check_drawable(classes: Sequence[str]) -> None:
    """Raise ConfigError for emotions that cannot be drawn."""
    unknown = [emotion for emotion in classes if emotion not in _EXPRESSIONS]
    if unknown:
        raise ConfigError(
            f"data.classes: no face can be drawn for {', '.join(map(repr, unknown))}; "
            f"choose from {', '.join(_EXPRESSIONS)}"
        )


def draw_faces(classes: Sequence[str], count: int, seed: int) -> FaceSet:
    """Draw `count` faces whose emotions take turns, so that all are equally frequent (within one).

    Face i depends only on `seed`, i and its emotion: `count` only says how many there are. Emotions
    are among angry, disgust, fear, happy, neutral, sad and surprise; the names `synthetic/000123`.

    Raises:
        ConfigError: an emotion that cannot be drawn.
    """
    check_drawable(classes)
    labels = np.arange(count, dtype=np.int64) % len(classes)
    pixels = np.empty((count, SIZE, SIZE), np.uint8)
    for start in range(0, count, _CHUNK):
        chosen = slice(start, start + _CHUNK)
        pixels[chosen] = _draw(seed, start, [classes[label] for label in labels[chosen]])
    return FaceSet(
        pixels=pixels,
        labels=labels,
        names=tuple(f"synthetic/{i:06d}" for i in range(count)),
        parts=("",) * count,
        classes=tuple(classes),
        origin="synthetic",
        source=f"drawn by fer_lit.faces.synthetic, seed {seed}",
    )


def _draw(seed: int, start: int, emotions: list[str]) -> np.ndarray:
    """Faces start, start + 1, ... with these emotions: uint8 (len(emotions), 48, 48)."""
    traits, noise = _draw_traits(seed, range(start, start + len(emotions)))
    x, y = _face_coordinates(traits)
    canvas = np.broadcast_to(traits.background, x.shape).copy()
    expression = _express(traits, emotions)
    _paint_head(canvas, x, y, traits)
    # Painting on the rows of a band alone keeps each part inside its band in every pose.
    for rows, paint in ((NOSE, _paint_nose), (EYES, _paint_eyes), (MOUTH, _paint_mouth)):
        paint(canvas[:, rows], x[:, rows], y[:, rows], traits, expression)
    return _photograph(canvas, traits, noise)


def _draw_traits(seed: int, indices: range) -> tuple[Values, np.ndarray]:
    """Traits as float32 (n, 1, 1) and standard normal noise as float32 (n, 48, 48)."""
    middle, reach = np.array(list(_TRAITS.values())).T
    values = np.empty((len(indices), len(_TRAITS)))
    noise = np.empty((len(indices), SIZE, SIZE), np.float32)
    for row, index in enumerate(indices):
        generator = np.random.default_rng([seed, index])
        values[row] = middle + reach * generator.uniform(-1, 1, len(_TRAITS))
        noise[row] = generator.standard_normal((SIZE, SIZE), np.float32)
    columns = values.astype(np.float32).T[:, :, None, None]
    return Values(**dict(zip(_TRAITS, columns, strict=True))), noise


def _express(traits: Values, emotions: list[str]) -> Values:
    """The face at rest plus its emotion, at the strength with which this person shows it."""
    table = np.array([_EXPRESSIONS[emotion] for emotion in emotions], np.float32)
    full = _Expression(*table.T[:, :, None, None])
    mouth, eyes = traits.mouth_strength, traits.eyes_strength
    return Values(
        mouth_curve=traits.mouth_curve + mouth * full.mouth_curve,
        mouth_opening=traits.mouth_opening + mouth * full.mouth_opening,
        mouth_width=traits.mouth_half_width + mouth * full.mouth_width,
        mouth_skew=mouth * full.mouth_skew,
        brow_lift=traits.brow_lift + eyes * full.brow_lift,
        brow_slope=traits.brow_slope + eyes * full.brow_slope,
        eye_opening=traits.eye_opening + eyes * full.eye_opening,
    )


def _face_coordinates(t: Values) -> tuple[np.ndarray, np.ndarray]:
    """Where each pixel (n, 48, 48) lies on an upright, centred face of scale 1."""
    x, y = _AXIS[None, None, :] - t.shift_x, _AXIS[None, :, None] - t.shift_y
    cosine = np.sqrt(1 - t.roll**2)
    return (cosine * x + t.roll * y) / t.scale, (cosine * y - t.roll * x) / t.scale


def _paint(canvas: np.ndarray, distance: np.ndarray, tone: np.ndarray | float) -> None:
    """Cover, in place, what lies inside an outline (distance < 0, pixels), with a soft edge."""
    canvas += np.clip(0.5 - distance, 0, 1) * (tone - canvas)


def _ellipse(x: np.ndarray, y: np.ndarray, width: np.ndarray, height: np.ndarray) -> np.ndarray:
    """About the distance to an ellipse with these half axes, negative inside."""
    return (np.sqrt((x / width) ** 2 + (y / height) ** 2) - 1) * np.minimum(width, height)


def _paint_head(canvas: np.ndarray, x: np.ndarray, y: np.ndarray, t: Values) -> None:
    _paint(canvas, _ellipse(x, y - 30, 22.0, 10.0), t.shirt)
    hair = _ellipse(x, y + 3, t.head_width + t.hair_volume, 20.5 + t.hair_volume)
    _paint(canvas, np.maximum(hair, y - t.hair_length), t.hair)
    _paint(canvas, np.maximum(np.abs(x) - 7, 10 - y), t.skin * 0.75)  # the neck
    _paint(canvas, _ellipse(np.abs(x) - t.head_width, y + 2, 1.6, 4.0), t.skin * 0.85)  # the ears
    narrowing = 1 - t.jaw * np.clip(y / t.head_height, 0, 1) ** 2
    head = _ellipse(x / narrowing, y - 1, t.head_width, t.head_height)
    roundness = 22 * np.clip(1 + head / 7, 0, 1) ** 2
    _paint(canvas, head, t.skin - roundness - t.beard * np.clip(y / 6 - 0.8, 0, 1))
    fringe = y - t.hairline - t.parting * x - 0.012 * x**2
    _paint(canvas, np.maximum(fringe, hair), t.hair)


def _paint_nose(canvas: np.ndarray, x: np.ndarray, y: np.ndarray, t: Values, _: Values) -> None:
    tip = t.nose_length
    bridge = np.maximum(np.abs(x - t.nose_side * (0.7 + 0.12 * (y + 4))) - 0.45, y - tip)
    _paint(canvas, np.maximum(bridge, -4 - y), t.skin - 0.6 * t.nose_shadow)
    _paint(canvas, _ellipse(x, y - tip, t.nose_width, 0.8), t.skin - t.nose_shadow)
    _paint(canvas, _ellipse(np.abs(x) - 0.55 * t.nose_width, y - tip - 0.1, 0.7, 0.6), 40.0)


def _paint_eyes(canvas: np.ndarray, x: np.ndarray, y: np.ndarray, t: Values, e: Values) -> None:
    """The eyes and their brows: first that on the left of the picture."""
    y = y + 7.2
    for side in (-1, 1):
        out = side * x - t.eye_distance  # x that grows outwards
        white = _ellipse(out, y, t.eye_width, e.eye_opening)
        _paint(canvas, white - 0.45, t.skin - 70)
        _paint(canvas, white, np.minimum(t.skin + 55, 235))
        _paint(canvas, np.maximum(_ellipse(out - side * t.gaze, y, 1.45, 1.45), white), t.iris)
        along = out / t.brow_half_length
        middle = -3.7 - e.brow_lift - e.brow_slope * along + t.brow_arch * (along**2 - 0.5)
        brow = np.maximum(np.abs(y - middle) - t.brow_thickness, np.abs(out) - t.brow_half_length)
        _paint(canvas, brow, 0.75 * np.minimum(t.hair, t.skin))


def _paint_mouth(canvas: np.ndarray, x: np.ndarray, y: np.ndarray, t: Values, e: Values) -> None:
    along = x / e.mouth_width
    y = y - 11.0 - e.mouth_curve * (0.5 - along**2) + e.mouth_skew * along
    ends = np.abs(x) - e.mouth_width
    gap = np.abs(y) - e.mouth_opening * (1 - along**2)
    _paint(canvas, np.maximum(gap - t.lip * (1 - 0.6 * along**2), ends), t.skin - t.lip_shadow)
    _paint(canvas, np.maximum(gap, ends), 0.3 * t.skin)
    teeth = np.maximum(gap + 0.6, y + 0.2 * e.mouth_opening)
    _paint(canvas, np.maximum(teeth, ends), 225.0)


def _photograph(canvas: np.ndarray, t: Values, noise: np.ndarray) -> np.ndarray:
    """Light from one side, brightness, contrast and grain; uint8."""
    light = 1 + t.light_x * _AXIS[None, None, :] + t.light_y * _AXIS[None, :, None]
    lit = 128 + t.contrast * (canvas * light - 128) + t.brightness + t.grain * noise
    return np.clip(np.rint(lit), 0, 255).astype(np.uint8)
