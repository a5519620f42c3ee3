"""One picture, or one row of the CSV file, to 48x48 grey pixels."""

import os
import tracemalloc
import warnings

import numpy as np
import pytest
from PIL import Image, UnidentifiedImageError

from fer_lit.errors import ConfigError
from fer_lit.faces.pictures import decode, decode_csv

RAMP = np.arange(48 * 48, dtype=np.uint32).reshape(48, 48).astype(np.uint8)


def test_a_grey_48_picture_is_taken_as_it_is(tmp_path):
    Image.fromarray(RAMP).save(tmp_path / "a.png")
    pixels, resized, greyed = decode(tmp_path / "a.png")
    assert np.array_equal(pixels, RAMP)
    assert (pixels.dtype, resized, greyed) == (np.uint8, False, False)


def test_colours_become_luma(tmp_path):
    for colour, grey in [((255, 0, 0), 76), ((0, 255, 0), 150), ((0, 0, 255), 29)]:
        Image.new("RGB", (48, 48), colour).save(tmp_path / "a.png")
        pixels, resized, greyed = decode(tmp_path / "a.png")
        assert (set(pixels.ravel().tolist()), resized, greyed) == ({grey}, False, True)


def test_other_sizes_are_resized_without_aliasing(tmp_path):
    stripes = np.zeros((96, 192), np.uint8)
    stripes[:, ::2] = 200
    Image.fromarray(stripes).save(tmp_path / "a.png")
    pixels, resized, greyed = decode(tmp_path / "a.png")
    assert pixels.shape == (48, 48)
    assert (resized, greyed) == (True, False)
    assert abs(pixels[:, 2:-2].astype(int) - 100).max() <= 1, "nearest neighbour gives 0 or 200"


def test_the_exif_orientation_is_followed(tmp_path):
    picture = Image.new("L", (96, 48))
    picture.paste(255, (0, 0, 48, 48))
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise by a quarter: left becomes top
    picture.save(tmp_path / "a.jpg", exif=exif)
    pixels, _, _ = decode(tmp_path / "a.jpg")
    assert pixels[:20].mean() > 250 > 5 > pixels[-20:].mean()


def test_palette_with_transparency_gives_no_warning(tmp_path):
    picture = Image.new("P", (48, 48), 1)
    picture.putpalette([0, 0, 0, 255, 255, 255])
    picture.save(tmp_path / "a.png", transparency=bytes([10, 255]))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pixels, _, greyed = decode(tmp_path / "a.png")
    assert (pixels.min(), greyed) == (255, True)


@pytest.mark.parametrize("kind", ["EPS", "PPM", "TGA"])
def test_a_picture_is_of_a_common_format_whatever_its_name(tmp_path, kind):
    Image.fromarray(RAMP).save(tmp_path / "a", kind)
    (tmp_path / "a").rename(tmp_path / "a.jpg")
    with pytest.raises(UnidentifiedImageError):
        decode(tmp_path / "a.jpg")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.png")
    with pytest.raises(ValueError, match="not a regular file"):
        decode(tmp_path / "a.png")


def test_sixteen_bits_are_refused_and_not_clipped(tmp_path):
    Image.fromarray(np.full((48, 48), 40000, np.uint16)).save(tmp_path / "a.png")
    with pytest.raises(ValueError, match="more than 8 bits"):
        decode(tmp_path / "a.png")


def csv_text(header: str, *rows: str) -> str:
    return "\n".join([header, *rows]) + "\n"


def pixels_text(start: int) -> str:
    return " ".join(str((start + i) % 256) for i in range(48 * 48))


@pytest.mark.parametrize(
    ("header", "order"),
    [
        ("emotion,pixels,Usage", (0, 1, 2)),
        ("emotion, Usage, pixels", (0, 2, 1)),
        ("\ufeffUsage,pixels,emotion", (2, 1, 0)),
    ],
)
def test_csv_flavours(tmp_path, header, order):
    cells = [
        ("0", pixels_text(7), "Training"),
        ("3", pixels_text(8), "PublicTest"),
        ("2", "not even looked at", "Training"),
        ("6", pixels_text(9), "PrivateTest"),
    ]
    rows = [",".join(row[i] for i in order) for row in cells]
    (tmp_path / "fer2013.csv").write_text(csv_text(header, *rows), encoding="utf-8")
    decoded = list(decode_csv(tmp_path / "fer2013.csv", ["neutral", "angry", "happy"]))
    assert [row[:3] for row in decoded] == [
        ("fer2013.csv:2", 1, "train"),
        ("fer2013.csv:3", 2, "validation"),
        ("fer2013.csv:5", 0, "test"),
    ]
    assert decoded[0].pixels.dtype == np.uint8
    assert decoded[0].pixels[0, :3].tolist() == [7, 8, 9]
    assert decoded[0].pixels[1, 0] == 7 + 48, "rows first"


@pytest.mark.parametrize(
    ("row", "error"),
    [
        ("0,1 2 3", "3 pixels instead of 2,304"),
        (f"0,{pixels_text(0)} 256", "not integers 0 to 255"),
        (f"0,{pixels_text(0)} -1", "not integers 0 to 255"),
        ("0,a b", "not integers 0 to 255"),
        ("0", "0 pixels"),
        (f"7,{pixels_text(0)}", "emotion '7' is not 0 to 6"),
        (f",{pixels_text(0)}", "emotion '' is not 0 to 6"),
    ],
)
def test_bad_rows_are_marked(tmp_path, row, error):
    (tmp_path / "fer2013.csv").write_text(csv_text("emotion,pixels", f"0,{pixels_text(0)}", row))
    good, bad = decode_csv(tmp_path / "fer2013.csv", ["angry"])
    assert (good.error, good.part) == ("", "")
    assert bad.name == "fer2013.csv:3"
    assert error in bad.error
    assert bad.pixels is None


def test_a_csv_without_the_columns_is_an_error(tmp_path):
    (tmp_path / "fer2013.csv").write_text("a,b\n1,2\n")
    with pytest.raises(ConfigError, match="needs columns emotion, pixels, Usage; found a, b"):
        list(decode_csv(tmp_path / "fer2013.csv", ["angry"]))


@pytest.mark.parametrize("rows", ['0,"' + "1 " * 100_000, '0,"' + "1\n" * 100_000])
def test_a_csv_row_without_an_end_is_an_error(tmp_path, rows):
    (tmp_path / "fer2013.csv").write_text("emotion,pixels\n" + rows)
    message = r"fer2013\.csv:2: not readable as CSV \(a row of more than 65,536 characters\); give"
    with pytest.raises(ConfigError, match=message):
        list(decode_csv(tmp_path / "fer2013.csv", ["angry"]))


def test_a_csv_without_the_end_of_a_row_is_not_read_whole(tmp_path):
    file = tmp_path / "fer2013.csv"
    file.write_text("emotion,pixels\n0,")
    os.truncate(file, 50_000_000)  # sparse: nothing is written
    tracemalloc.start()
    with pytest.raises(ConfigError, match="a row of more than"):
        list(decode_csv(file, ["angry"]))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 5_000_000


def test_a_csv_too_large_for_faces_is_not_read(tmp_path):
    file = tmp_path / "fer2013.csv"
    file.write_text(csv_text("emotion,pixels", f"0,{pixels_text(0)}"))
    os.truncate(file, 10 * 10**9)  # sparse: nothing is written
    with pytest.raises(ConfigError) as refused:
        next(decode_csv(file, ["angry"]))
    assert str(refused.value) == (
        f"{file}: not read: 10,000,000,000 bytes, and at most 2,000,000,000 are; give FER-2013's "
        "file, or a folder of pictures"
    )
