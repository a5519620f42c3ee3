"""What figures are drawn of, and that they can be read."""

from __future__ import annotations

from matplotlib.artist import Artist
from matplotlib.figure import Figure

BANDS = {"eyes": slice(10, 20), "nose": slice(20, 30), "mouth": slice(30, 40)}
EMOTIONS = ["angry", "happy"]
SEVEN = ["angry", "disgust", "fear", "happy", "neutral", "sad", "surprise"]


def assert_readable(figure: Figure) -> None:
    """Fail if something leaves the figure, titles or captions of panels meet, or a letter is small.

    The figure is scaled to a page 6.7 inches wide if it is wider.
    """
    assert figure.get_figwidth() <= 7.5
    figure.draw_without_rendering()
    drawn = figure.get_tightbbox()
    assert min(drawn.x0, drawn.y0) >= 0
    assert drawn.x1 <= figure.get_figwidth()
    assert drawn.y1 <= figure.get_figheight()
    smallest = min(text.get_fontsize() for text in figure.findobj(match=_is_shown_text))
    assert smallest * min(1, 6.7 / figure.get_figwidth()) >= 7
    boxes = [axis.title.get_window_extent() for axis in figure.axes if axis.get_title()]
    boxes += [axis.xaxis.label.get_window_extent() for axis in figure.axes if axis.get_xlabel()]
    for number, box in enumerate(boxes):
        assert not any(box.padded(-1).overlaps(other) for other in boxes[number + 1 :])


def _is_shown_text(artist: Artist) -> bool:
    return hasattr(artist, "get_fontsize") and artist.get_visible() and bool(artist.get_text())
