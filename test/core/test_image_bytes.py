"""JPEG and PNG bytes: decoded, or one sentence; the size is known before anything is decoded."""

import array
import struct
import tracemalloc

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from image_fields import FUZZ_EXAMPLES, CompressedImage, encoded, jpeg_of_size, picture, png_of_size

from nanodet_kp_core.errors import ImageError
from nanodet_kp_core.runtime.images import image_bytes
from nanodet_kp_core.runtime.images.image_bytes import decode_image, image_size, refusal
from nanodet_kp_core.runtime.images.image_message import from_compressed


def message(data):
    return CompressedImage(format="jpeg", data=array.array("B", data))


@pytest.mark.parametrize(
    "options",
    [(), (cv2.IMWRITE_JPEG_PROGRESSIVE, 1), (cv2.IMWRITE_JPEG_RST_INTERVAL, 2), (cv2.IMWRITE_JPEG_OPTIMIZE, 1)],
)
def test_size_of_a_jpeg(options):
    data = encoded(".jpg", None, *options)
    assert image_size(np.frombuffer(data, np.uint8)) == (50, 30)
    assert from_compressed(message(data)).shape == (30, 50, 3)


@pytest.mark.parametrize("sampling", [0x111111, 0x211111, 0x221111, 0x411111])
@pytest.mark.parametrize("quality", [30, 95])
@pytest.mark.parametrize(("width", "height"), [(50, 30), (51, 33)])
def test_simplejpeg_gives_the_pixels_of_opencv(sampling, quality, width, height, monkeypatch):
    """Whole, of progressive scans, gray, and cut off in the middle."""
    pytest.importorskip("simplejpeg", reason="an option: requirements/jpeg.txt")
    options = (cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, sampling)
    whole = encoded(".jpg", picture(width, height), *options)
    others = (
        encoded(".jpg", picture(width, height), *options, cv2.IMWRITE_JPEG_PROGRESSIVE, 1),
        encoded(".jpg", picture(width, height)[..., 0], cv2.IMWRITE_JPEG_QUALITY, quality),
    )
    parts = [np.frombuffer(data, np.uint8) for data in (whole, *others, whole[: -len(whole) // 3])]
    decoded = [decode_image(part) for part in parts]
    monkeypatch.setattr(image_bytes, "simplejpeg", None)
    for part, image in zip(parts, decoded, strict=True):
        np.testing.assert_array_equal(image, decode_image(part))


def test_a_jpeg_that_simplejpeg_refuses_goes_to_opencv(monkeypatch):
    class Refusing:
        @staticmethod
        def decode_jpeg(*_, **__):
            raise ValueError("Unsupported color conversion request")

    monkeypatch.setattr(image_bytes, "simplejpeg", Refusing)
    assert from_compressed(message(encoded(".jpg"))).shape == (30, 50, 3)


def test_a_jpeg_with_a_preview_in_it_has_its_own_size():
    """Cameras put a small JPEG into the first segment."""
    preview = encoded(".jpg", picture(8, 8))
    whole = encoded(".jpg")
    data = whole[:2] + b"\xff\xe1" + struct.pack(">H", len(preview) + 2) + preview + whole[2:]
    assert image_size(np.frombuffer(data, np.uint8)) == (50, 30)


@pytest.mark.parametrize("image", [picture(), picture()[..., 0], picture().astype(np.uint16) * 257])
def test_png_of_any_depth_is_eight_bit_color(image):
    decoded = from_compressed(message(encoded(".png", image)))
    expected = picture() if image.ndim == 3 else np.repeat(picture()[..., :1], 3, axis=2)
    np.testing.assert_array_equal(decoded, expected)


@pytest.mark.parametrize("data", [png_of_size(60000, 60000), jpeg_of_size(65000, 65000), png_of_size(2**31 - 1, 1)])
def test_a_small_file_that_claims_gigabytes_takes_no_memory(data):
    tracemalloc.start()  # knows of numpy's memory, in which OpenCV puts its images
    try:
        with pytest.raises(ImageError, match="of at most 67108864 pixels"):
            from_compressed(message(data))
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", [b"IDAT", b"zTXt"])
def test_a_part_of_a_png_that_claims_gigabytes_is_not_given_to_opencv(name):
    """OpenCV 4.14 takes the memory before it looks whether so much came: 1 s and 4 GB for a hundred bytes."""
    data = bytearray(encoded(".png"))
    place = data.index(b"IDAT")
    data[place - 4 : place + 4] = struct.pack(">I", 2**31 - 1) + name
    assert image_size(np.frombuffer(bytes(data), np.uint8)) is None
    with pytest.raises(ImageError, match="cannot be decoded"):
        from_compressed(message(bytes(data)))


@pytest.mark.parametrize(
    "data", [b"", b"\xff\xd8\xff\xe0 no image", b"\xff\xd8" + b"\xff" * 50, encoded(".bmp"), encoded(".png")[:20]]
)
def test_bad_data(data):
    with pytest.raises(ImageError, match=rf"got {len(data)} bytes marked 'jpeg'"):
        from_compressed(message(data))


@pytest.mark.parametrize(
    ("data", "got"),
    [
        (encoded(".png"), None),
        (encoded(".jpg"), None),
        (encoded(".bmp"), None),  # OpenCV's concern
        (b"", None),
        (png_of_size(60000, 60000), "of 1 to 67108864 pixels, got a PNG that claims 60000x60000"),
        (jpeg_of_size(65000, 65000), "of 1 to 67108864 pixels, got a JPEG that claims 65000x65000"),
        (png_of_size(0, 5), "got a PNG that claims 0x5"),
        (encoded(".png")[:-1], "got a PNG that is cut off or damaged, of "),
        (encoded(".jpg")[:30], "got a JPEG that is cut off or damaged, of 30 bytes"),
    ],
)
def test_what_is_not_decoded(data, got):
    said = refusal(np.frombuffer(data, np.uint8))
    assert said is None if got is None else said.startswith("expected a readable image") and got in said


@settings(max_examples=FUZZ_EXAMPLES, deadline=None)
@given(st.sampled_from([".jpg", ".png"]), st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), max_size=8),
       st.integers(0, 3000))  # fmt: skip
def test_damaged_bytes_are_an_image_or_one_sentence(extension, changes, length):
    data = bytearray(encoded(extension))
    for place, value in changes:
        data[place % len(data)] = value
    outcome = outcome_of(message(bytes(data[:length])))
    if isinstance(outcome, str):
        assert outcome and "\n" not in outcome
    else:
        assert outcome.ndim == 3 and outcome.shape[2] == 3 and outcome.dtype == np.uint8


def outcome_of(made):
    """The image, or the sentence of the only error that is allowed."""
    try:
        return from_compressed(made)
    except ImageError as error:
        return str(error)
