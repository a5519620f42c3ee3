"""Figures of the analysis: what they draw, where, and that all of it can be read."""

import numpy as np
import pandas as pd
import pytest
from helpers.figures import BANDS, EMOTIONS, SEVEN, assert_readable
from matplotlib import rcParams
from matplotlib.collections import PathCollection
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from PIL import Image

from fer_lit.analysis.chapters.accuracy import draw_accuracy, draw_confusions
from fer_lit.analysis.chapters.attention import draw_average_maps
from fer_lit.analysis.chapters.calibration import draw_reliability
from fer_lit.analysis.chapters.changes import draw_differences
from fer_lit.analysis.chapters.photographs import Example, draw_examples, draw_samples
from fer_lit.analysis.chapters.shares import draw_row_profiles, draw_shares
from fer_lit.analysis.chapters.transfer import draw_transfer
from fer_lit.analysis.report.style import looks, save_figure

CONDITIONS = ["none", "mouth"]
COVERED = [None, slice(30, 40)]
EIGHT = [f"{name} lr={rate}" for name in ("none", "eyes", "nose", "mouth") for rate in (0.003, 0.1)]
SIZES = {"2 x 1": (EMOTIONS, ["none"]), "7 x 8": (SEVEN, EIGHT)}


@pytest.fixture
def maps():
    return np.random.default_rng(0).random((2, 2, 48, 48))


@pytest.fixture(params=SIZES.values(), ids=SIZES.keys())
def names(request):
    return request.param


def panels_of(figure: Figure, count: int):
    """Return the first axes; colour bars come after them."""
    return figure.axes[:count]


def texts(axis):
    return [text.get_text() for text in axis.texts]


def test_a_figure_becomes_a_png_of_200_dpi_and_a_pdf_with_truetype_fonts(tmp_path):
    figure = Figure(figsize=(2, 1))
    figure.text(0.1, 0.5, "✓ words")

    path = save_figure(figure, tmp_path, "name.of.it")

    assert path == tmp_path / "name.of.it.png"
    assert sorted(file.name for file in tmp_path.iterdir()) == ["name.of.it.pdf", "name.of.it.png"]
    with Image.open(path) as picture:
        assert picture.size == (400, 200)
        assert picture.info["dpi"] == pytest.approx((200, 200), abs=0.1)
    pdf = path.with_suffix(".pdf").read_bytes()
    assert pdf.startswith(b"%PDF-1.")
    assert pdf.rstrip().endswith(b"%%EOF")
    assert b"/FontFile2" in pdf
    assert b"/Type3" not in pdf
    assert rcParams["pdf.fonttype"] == 3  # Matplotlib's default, not ours


def test_a_map_over_a_face_stays_an_image_of_its_own_in_a_pdf(tmp_path):
    """Where they are merged into one, the map is paler than in the PNG."""
    figure = Figure(figsize=(1, 1))
    axis = figure.subplots()
    axis.imshow(np.zeros((4, 4)), cmap="gray")
    axis.imshow(np.ones((4, 4)), cmap="jet", alpha=0.5)

    pdf = save_figure(figure, tmp_path, "over").with_suffix(".pdf").read_bytes()

    assert pdf.count(b"/Subtype /Image") - pdf.count(b"/SMask") == 2


def test_average_maps_are_drawn_as_they_are_on_one_scale(maps):
    maps[0, 0, 0, 0], maps[1, 1, 5, 5] = 0, 1.25
    figure = draw_average_maps(maps, EMOTIONS, CONDITIONS, COVERED)

    for axis, drawn in zip(panels_of(figure, 4), maps.reshape(4, 48, 48), strict=True):
        (image,) = axis.images
        np.testing.assert_array_equal(image.get_array(), drawn)
        assert image.get_clim() == (0, 1.25)
        assert image.get_cmap().name == "jet"
    bar = figure.axes[4]
    assert bar.get_ylabel() == "attention (mean of min-max scaled maps)"
    assert [label.get_text() for label in bar.get_yticklabels()] == ["low\n0", "high\n1.2"]


def test_rows_are_emotions_and_columns_are_conditions(maps):
    axes = panels_of(draw_average_maps(maps, EMOTIONS, CONDITIONS, COVERED, "viridis"), 4)

    assert [axis.get_title() for axis in axes] == ["none", "mouth", "", ""]
    assert [axis.get_ylabel() for axis in axes] == ["angry", "", "happy", ""]
    assert axes[0].images[0].get_cmap().name == "viridis"


def test_bands_are_marked_named_at_the_right_and_bracketed_where_covered(maps):
    axes = panels_of(draw_average_maps(maps, EMOTIONS, CONDITIONS, COVERED), 4)

    assert [texts(axis) for axis in axes] == [[], list(BANDS), [], list(BANDS)]
    assert [text.xy[1] for text in axes[1].texts] == [14.5, 24.5, 34.5]
    for axis, brackets in zip(axes, (0, 2, 0, 2), strict=True):
        assert [line.get_ydata()[0] for line in axis.lines[:4]] == [9.5, 19.5, 29.5, 39.5]
        assert len(axis.lines) == 4 + brackets
        for bracket in axis.lines[4:]:
            assert list(bracket.get_ydata()) == [29.5, 29.5, 39.5, 39.5]


def test_a_cell_without_photographs_says_so(maps):
    maps[1, 0] = np.nan
    faces = np.where(np.isnan(maps), np.nan, 128.0)

    for figure in (
        draw_average_maps(maps, EMOTIONS, CONDITIONS, COVERED),
        draw_average_maps(maps, EMOTIONS, CONDITIONS, COVERED, faces=faces),
        draw_differences(maps, EMOTIONS, CONDITIONS, COVERED, "nose"),
        draw_row_profiles(maps.sum(axis=3)[:, :1], EMOTIONS, CONDITIONS[:1]),
    ):
        figure.draw_without_rendering()
        missing = [axis for axis in figure.axes if "no\nphotographs" in texts(axis)]
        assert missing == [next(axis for axis in figure.axes if label_of(axis) == "happy")]


def label_of(axis):
    return axis.get_title() if axis.get_title() in EMOTIONS else axis.get_ylabel()


def test_only_missing_maps_can_be_drawn_too(maps):
    maps[:] = np.nan
    figure = draw_differences(maps, EMOTIONS, CONDITIONS, COVERED, "nose")
    figure.draw_without_rendering()
    assert all("no\nphotographs" in texts(axis) for axis in panels_of(figure, 4))


def test_maps_lie_half_transparent_over_the_mean_faces(maps):
    faces = np.random.default_rng(1).integers(50, 200, (2, 2, 48, 48)).astype(np.uint8)

    figure = draw_average_maps(maps, EMOTIONS, CONDITIONS, COVERED, faces=faces)

    for axis, face, attention in zip(
        panels_of(figure, 4), faces.reshape(4, 48, 48), maps.reshape(4, 48, 48), strict=True
    ):
        below, above = axis.images
        np.testing.assert_array_equal(below.get_array(), face)
        assert below.get_clim() == (faces.min(), faces.max())
        np.testing.assert_array_equal(above.get_array(), attention)
        assert (above.get_alpha(), above.get_clim()) == (0.5, (maps.min(), maps.max()))


def test_differences_are_symmetric_around_zero():
    differences = np.zeros((2, 2, 48, 48))
    differences[0, 1, 0, 0], differences[1, 1, 5, 5] = -0.0004, 0.0001

    figure = draw_differences(differences, EMOTIONS, CONDITIONS, COVERED, "nose")

    for axis in panels_of(figure, 4):
        assert axis.images[0].get_clim() == (-0.0004, 0.0004)
    assert "minus that of “nose”" in figure.axes[4].get_ylabel().replace("\n", " ")
    figure.draw_without_rendering()
    ticks = [label.get_text() for label in figure.axes[4].get_yticklabels()]
    assert ticks[-1] == "0.040 %"


def test_samples_are_the_faces_of_a_condition_in_its_column():
    faces = {name: np.full((3, 48, 48), i, np.uint8) for i, name in enumerate(CONDITIONS)}

    axes = draw_samples(faces, ["angry", "happy", "neutral"]).axes

    assert [axis.get_ylabel() for axis in axes[::2]] == ["angry", "happy", "neutral"]
    for number, axis in enumerate(axes):
        assert (axis.images[0].get_array() == number % 2).all()
        assert axis.images[0].get_clim() == (0, 255)


def example(condition, label, prediction, probability):
    face = np.zeros((48, 48), np.uint8)
    return Example(condition, face, np.full((48, 48), 0.7), label, prediction, probability)


def test_right_examples_come_before_wrong_ones_and_differ_by_more_than_colour():
    examples = [
        example("none", "happy", "angry", 0.61),
        example("none", "happy", "happy", 0.87),
        example("mouth", "angry", "angry", 0.5),
        example("mouth", "happy", "happy", 0.9),
    ]

    axes = np.reshape(draw_examples(examples).axes, (2, 4))  # 2 right, a gap, 1 wrong

    captions = [[axis.get_xlabel() for axis in row] for row in axes]
    assert captions == [
        ["happy 87 %", "", "", "angry 61 %\nis happy"],
        ["angry 50 %", "happy 90 %", "", ""],
    ]
    assert [axis.get_title(loc="left") for axis in axes[0]] == ["✓ right", "", "", "✗ wrong"]
    assert [row[0].get_ylabel() for row in axes] == CONDITIONS
    right, wrong = (axes[0, column].spines["top"] for column in (0, 3))
    assert right.get_linestyle() != wrong.get_linestyle()
    assert axes[0, 0].images[1].get_clim() == (0, 1)


def test_examples_can_all_be_wrong():
    figure = draw_examples([example("none", "happy", "angry", 0.6)])
    assert [axis.get_title(loc="left") for axis in figure.axes] == ["", "✗ wrong"]
    assert_readable(figure)


def test_row_profiles_read_like_a_face():
    profiles = np.random.default_rng(0).dirichlet(np.ones(48), (2, 2))

    axes = draw_row_profiles(profiles, EMOTIONS, CONDITIONS).axes

    assert [axis.get_title() for axis in axes] == EMOTIONS
    assert axes[0].get_ylim() == (47.5, -0.5)  # the top of the face is at the top
    for axis, expected in zip(axes, profiles, strict=True):
        curves = [line for line in axis.lines if len(line.get_ydata()) == 48]
        np.testing.assert_allclose([line.get_xdata() for line in curves], 100 * expected)
        assert all((line.get_ydata() == range(48)).all() for line in curves)
        assert any(list(line.get_xdata()) == [100 / 48] * 2 for line in axis.lines)
        shaded = [patch.get_y() for patch in axis.patches]
        assert shaded == [9.5, 19.5, 29.5]


def test_shares_are_drawn_by_band_with_intervals_and_the_uniform_share():
    rows = [
        {"condition": c, "emotion": e, "band": b, "share": 0.3, "low": 0.25, "high": 0.4}
        for c in CONDITIONS
        for e in EMOTIONS
        for b in BANDS
    ]
    rows[0] |= {"share": 0.7, "low": 0.6, "high": 0.8}
    rows[-1] |= {"share": None, "low": None, "high": None}

    figure = draw_shares(pd.DataFrame(rows))

    assert [axis.get_title() for axis in figure.axes] == [f"in the {band} band" for band in BANDS]
    uniform, interval, dot, *others = figure.axes[0].lines
    assert len(others) == 2 * 3  # the other emotions and conditions of this band, not of others
    assert uniform.get_xdata() == pytest.approx([100 * 10 / 48] * 2)
    assert list(interval.get_xdata()) == [60, 80]
    assert list(dot.get_xdata()) == [70]
    assert dot.get_ydata() == pytest.approx([-0.1875])  # above the middle of the first condition
    ticks = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert ticks == CONDITIONS
    assert_readable(figure)


ROWS = [
    {"condition": "none", "accuracy": 0.75, "low": 0.72, "high": 0.78},
    {"condition": "mask", "accuracy": 0.5, "low": 0.45, "high": 0.55},
]


def test_accuracy_stands_beside_the_paper_and_apart_from_other_studies():
    figure = draw_accuracy(pd.DataFrame(ROWS), {"none": 74.2, "eyes": 72.0}, {"none": [0.74, 0.76]})

    ours, others = figure.axes
    drawn = {tuple(np.ravel(line.get_xdata()).round(9)) for line in ours.lines}
    assert drawn == {(72, 78), (75,), (74, 76), (45, 55), (50,), (74.2,)}
    assert texts(ours) == ["75.0", "50.0", "these\nruns", "74.2", "–", "paper"]
    assert others.get_title(loc="left") == "other studies, other data"
    studies = [list(zip(line.get_xdata(), line.get_ydata(), strict=True)) for line in others.lines]
    none, eyes, nose, mouth = range(4)
    assert studies == [
        [(74.28, none), (72.6, eyes), (69.8, mouth)],
        [(94.82, none), (93.10, eyes), (91.37, nose), (89.67, mouth)],
    ]
    assert [label.get_text() for label in others.get_yticklabels()] == ["none", *BANDS]
    assert_readable(figure)


def test_single_seeds_lie_beneath_their_mean():
    figure = draw_accuracy(pd.DataFrame(ROWS[:1]), None, {"none": [0.74, 0.76]})
    interval, mean, seeds = figure.axes[0].lines
    assert list(interval.get_xdata()) == [72, 78] and list(mean.get_xdata()) == [75]
    assert list(seeds.get_xdata()) == [74, 76] and (seeds.get_ydata() > 0).all()  # downwards
    (legend,) = figure.legends
    labels = [text.get_text() for text in legend.get_texts()]
    assert labels == ["these runs, 95 % interval", "single seeds"]
    assert_readable(figure)


def test_accuracy_of_other_classes_is_compared_with_nothing():
    figure = draw_accuracy(pd.DataFrame(ROWS), None, {})
    (axis,) = figure.axes
    assert texts(axis) == ["75.0", "50.0", "these\nruns"]
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["these runs, 95 % interval"]


def test_confusion_matrices_show_counts_and_shares_of_the_row():
    matrices = {"none": np.array([[30, 10], [0, 0]]), "mouth": np.array([[0, 4], [1000, 1000]])}

    figure = draw_confusions(matrices, EMOTIONS)

    none, mouth = panels_of(figure, 2)
    assert texts(none) == ["30\n75%", "10\n25%", "0\n0%", "0\n0%"]
    assert texts(mouth) == ["0\n0%", "4\n100%", "1,000\n50%", "1,000\n50%"]
    assert [axis.get_title() for axis in (none, mouth)] == ["none", "mouth"]
    assert none.images[0].get_clim() == mouth.images[0].get_clim() == (0, 1)


def cells(matrix, trained, tested, own):
    """The table of transfer as it is drawn."""
    index = pd.MultiIndex.from_product([trained, tested], names=["trained", "tested"])
    return pd.DataFrame({"mean": matrix.ravel(), "own": own.ravel()}, index).reset_index()


def test_transfer_frames_the_condition_that_a_network_was_trained_for():
    matrix = np.array([[0.75, 0.5, 0.25], [0.3, np.nan, 0.6]])

    own = np.array([[True, False, False], [False, False, True]])

    table = cells(matrix, ["none lr=1", "mouth"], ["none", "eyes", "mouth"], own)
    axis = draw_transfer(table).axes[0]

    assert texts(axis) == ["75.0", "50.0", "25.0", "30.0", "–", "60.0"]
    frames = [patch for patch in axis.patches if isinstance(patch, Rectangle)]
    assert [tuple(np.round(frame.get_center())) for frame in frames] == [(0, 0), (2, 1)]
    assert (axis.get_xlabel(), axis.get_ylabel()) == ("tested under", "trained under")
    dark = axis.texts[2]
    assert dark.get_color() == "white"


def test_reliability_shows_bins_with_faces_only():
    rows = [
        {"condition": "none", "confidence": 0.4, "accuracy": 0.5, "predictions": 25},
        {"condition": "none", "confidence": 0.9, "accuracy": 0.8, "predictions": 100},
        {"condition": "none", "confidence": None, "accuracy": None, "predictions": 0},
        {"condition": "mouth", "confidence": 0.7, "accuracy": 0.7, "predictions": 1},
    ]

    figure = draw_reliability(pd.DataFrame(rows), {"none": 0.0312, "mouth": 0.0})

    none, mouth = figure.axes
    (dots,) = [artist for artist in none.collections if isinstance(artist, PathCollection)]
    np.testing.assert_allclose(dots.get_offsets(), [[40, 50], [90, 80]])
    small, large = dots.get_sizes()
    assert large == pytest.approx(4 * small)  # the area is proportional to the predictions
    assert (texts(none), texts(mouth)) == (["ECE 3.1 %"], ["ECE 0.0 %"])
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == ["1 prediction", "10 predictions", "100 predictions"]
    assert_readable(figure)


def test_looks_differ_in_colour_and_line_or_marker():
    many = looks([str(number) for number in range(12)]).values()
    assert len({(look.colour, look.line) for look in many}) == 12
    first = list(many)[:5]
    assert len({look.line for look in first}) == len({look.marker for look in first}) == 5
    assert all(to_rgba(look.colour) for look in many)


def test_grids_of_any_size_can_be_read(names):
    emotions, conditions = names
    maps = np.random.default_rng(0).random((len(emotions), len(conditions), 48, 48))
    maps[0, 0] = np.nan
    covered = [slice(22, 48)] * len(conditions)
    faces = {name: np.zeros((3, 48, 48), np.uint8) for name in conditions}

    assert_readable(draw_average_maps(maps, emotions, conditions, covered))
    assert_readable(draw_samples(faces, emotions[:2] + emotions[-1:]))


def test_curves_and_dots_of_any_number_can_be_read(names):
    emotions, conditions = names
    profiles = np.random.default_rng(0).random((len(emotions), len(conditions), 48)) / 24
    shares = [
        {"condition": c, "emotion": e, "band": b, "share": 0.3, "low": 0.25, "high": 0.4}
        for c in conditions
        for e in emotions
        for b in BANDS
    ]
    assert_readable(draw_row_profiles(profiles, emotions, conditions))
    assert_readable(draw_shares(pd.DataFrame(shares)))


def test_scores_of_any_number_can_be_read(names):
    emotions, conditions = names
    accuracy = np.linspace(0.4, 0.8, len(conditions) ** 2).reshape(len(conditions), -1)
    matrices = {name: np.full((len(emotions),) * 2, 1234) for name in conditions}
    figures = {"accuracy": 0.7, "low": 0.68, "high": 0.72}
    rows = [{"condition": name, **figures} for name in conditions]
    bins = [
        {"condition": name, "confidence": 0.9, "accuracy": 0.9, "predictions": 50}
        for name in conditions
    ]
    assert_readable(draw_accuracy(pd.DataFrame(rows), {"none": 74.2}, {}))
    assert_readable(draw_confusions(matrices, emotions))
    own = np.eye(len(conditions)) > 0
    assert_readable(draw_transfer(cells(accuracy, conditions, conditions, own)))
    assert_readable(draw_reliability(pd.DataFrame(bins), dict.fromkeys(conditions, 0.05)))


def test_examples_of_many_conditions_can_be_read():
    examples = [
        example(name, "neutral", prediction, 0.99)
        for name in EIGHT
        for prediction in ["neutral"] * 4 + ["surprise"] * 4
    ]
    assert_readable(draw_examples(examples))
