"""The head of an image says the size that decoding gives, EXIF orientation included; a broken one is one sentence."""

import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from format_helpers import write_image
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from image_fields import encoded, jpeg_of_size, png_of_size

from nanodet_kp_core.classes import ARMOR_CLASSES
from nanodet_kp_core.errors import DataError
from nanodet_kp_core.labels import images as images_module
from nanodet_kp_core.labels import read_labels, read_records, write_labels
from nanodet_kp_core.labels.images import Header, image_header, image_names
from nanodet_kp_core.labels.labels import LabeledImage, Plate
from nanodet_kp_core.labels.pixels import read_pixels
from nanodet_kp_core.runtime.images.frame_sources import SAVED_EXTENSIONS

LINE = "3 0.15 0.25 0.15 0.6 0.6 0.6 0.6 0.25\n"


def exif(orientation, order="<", before=0):
    """An Exif segment whose first directory holds `before` other entries and then the orientation."""
    entries = [struct.pack(order + "HHIHH", 0x0110 - k, 3, 1, 9, 0) for k in range(before)]
    entries.append(struct.pack(order + "HHIHH", 0x0112, 3, 1, orientation, 0))
    tiff = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "IH", 8, len(entries))
    body = b"Exif\0\0" + tiff + b"".join(entries) + b"\0\0\0\0"
    return b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body


def turned_jpeg(path, orientation, order="<", before=0):
    write_image(path)
    data = path.read_bytes()
    path.write_bytes(data[:2] + exif(orientation, order, before) + data[2:])


@pytest.mark.parametrize("extension", SAVED_EXTENSIONS)
@pytest.mark.parametrize("size", [(1, 1), (64, 48), (33, 257)])
def test_size_is_that_of_the_pixels(extension, size, tmp_path):
    path = write_image(tmp_path / f"a{extension}", size)
    assert image_header(path) == Header(*size)


@pytest.mark.parametrize("extension", [".jpg", ".png", ".bmp"])
def test_common_images_are_not_decoded(extension, tmp_path, monkeypatch):
    path = write_image(tmp_path / f"a{extension}")
    monkeypatch.setattr(images_module, "read_pixels", None)
    assert image_header(path) == Header(64, 48)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_turned_jpeg_has_the_size_it_is_shown_with(orientation, order, tmp_path):
    path = tmp_path / "a.jpg"
    turned_jpeg(path, orientation, order, before=orientation % 3)
    header = image_header(path)
    shown = cv2.imread(str(path)).shape
    assert (header.height, header.width) == shown[:2]
    assert (header.width, header.height) == ((48, 64) if orientation > 4 else (64, 48))
    assert header.orientation == orientation


def test_a_turned_png_has_the_size_it_is_shown_with(tmp_path):
    path = write_image(tmp_path / "a.png")
    data, body = path.read_bytes(), exif(6)[10:]
    chunk = b"eXIf" + body
    chunk = struct.pack(">I", len(body)) + chunk + struct.pack(">I", zlib.crc32(chunk))
    path.write_bytes(data[:33] + chunk + data[33:])
    header = image_header(path)
    assert (header.height, header.width) == cv2.imread(str(path)).shape[:2]  # older OpenCV does not turn it


@pytest.mark.parametrize("name", ["LabelRoboMasterDataset", "PyLabelRoboMasterDataset"])
def test_tools_that_ignore_the_orientation_cannot_label_a_turned_image(name, tmp_path):
    turned_jpeg(tmp_path / "a.jpg", 6)
    (tmp_path / "a.txt").write_text(LINE)
    with pytest.raises(DataError, match=r"a\.jpg: expected an upright image, got EXIF orientation 6, which the label"):
        read_records(name, tmp_path, tmp_path, ARMOR_CLASSES)
    plate = Plate("", "B_3", ((1, 1), (1, 9), (9, 9), (9, 1)), (1, 1, 9, 9))
    image = LabeledImage("a.jpg", tmp_path / "a.jpg", 48, 64, "", [plate])
    with pytest.raises(DataError, match="expected an upright image"):
        write_labels(name, tmp_path / "out", [image], ARMOR_CLASSES)


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "expected a readable image"),
        (b"\xff\xd8\xff\xe0", "expected a readable image"),
        (b"\xff\xd8\xff\xe0\x00\x01", "expected a readable image"),
        (b"no image at all, but long enough to hold a header", "expected a readable image"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + struct.pack(">II", 1 << 20, 4) + b"\x08\x02\0\0\0\0\0\0\0\0\0\0\0IDAT",
         "expected an image of 1 to 65536 pixels a side, got 1048576x4"),
        (b"BM" + bytes(12) + struct.pack("<Iii", 40, 0, 5) + bytes(20), "got 0x5"),
    ],
)  # fmt: skip
def test_broken_images(data, sentence, tmp_path):
    (tmp_path / "a.jpg").write_bytes(data)
    with pytest.raises(DataError, match=sentence) as caught:
        image_header(tmp_path / "a.jpg")
    assert str(caught.value).startswith(str(tmp_path / "a.jpg"))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_damaged_image_is_a_header_or_a_sentence(data, tmp_path):
    path = tmp_path / f"a{data.draw(st.sampled_from(['.jpg', '.png', '.bmp']))}"
    turned_jpeg(path, 3) if path.suffix == ".jpg" else write_image(path)
    whole = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, min(len(whole), 120) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(whole[: data.draw(st.integers(0, len(whole)))])
    try:
        header = image_header(path)
    except DataError:
        return
    assert header.width >= 1 and header.height >= 1


def test_a_jpeg_without_its_end_is_broken(tmp_path):
    path = tmp_path / "a.jpg"
    cv2.imwrite(str(path), np.random.default_rng(0).integers(0, 255, (48, 64, 3), np.uint8))
    assert read_pixels(path).shape == (48, 64, 3)
    path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(DataError, match="missing or broken"):
        read_pixels(path)


@pytest.mark.parametrize(
    ("name", "data", "got"),
    [
        ("a.png", png_of_size(60000, 60000), "of 1 to 67108864 pixels, got a PNG that claims 60000x60000"),
        ("a.jpg", jpeg_of_size(60000, 60000), "of 1 to 67108864 pixels, got a JPEG that claims 60000x60000"),
        ("a.png", encoded(".png")[:-20], "got a PNG that is cut off or damaged, of "),
        ("a.png", encoded(".png").replace(b"IDAT", b"zTXt")[:60], "got a PNG that is cut off or damaged, of 60 bytes"),
        ("a.jpg", encoded(".jpg")[:100], "got a JPEG that is cut off or damaged, of 100 bytes"),
    ],
)
def test_a_file_is_looked_at_before_opencv_takes_memory_for_it(name, data, got, tmp_path, monkeypatch):
    path = tmp_path / name
    path.write_bytes(data)
    monkeypatch.setattr(cv2, "imdecode", None)
    with pytest.raises(DataError) as caught:
        read_pixels(path)
    assert str(caught.value).startswith(f"{path}: expected a readable image") and got in str(caught.value)


def test_images_are_found_below_and_rejected_ones_are_not(tmp_path):
    for name in ("b.JPG", "sub/a.png", "deserted/c.png", ".hidden/d.png", ".e.png"):
        write_image(tmp_path / name)
    (tmp_path / "note.txt").write_text("")
    assert image_names(tmp_path) == ["b.JPG", "sub/a.png"]
    faults = []
    (found, _) = read_labels("LabelRoboMasterDataset", tmp_path, tmp_path / "sub", faults)
    assert (found.name, found.labeled, found.plates) == ("b.JPG", False, [])
    assert faults == []
    with pytest.raises(DataError, match="expected a folder with"):
        image_names(Path("nowhere"))
