"""Compressed images whose bytes alone do not say what they are: only `format` does."""

import array

import cv2
import numpy as np
import pytest
from image_fields import CompressedImage, Image, encoded

from nanodet_kp_core.errors import ImageError
from nanodet_kp_core.runtime.images.compressed_message import is_mosaic, stored_encoding, view_compressed
from nanodet_kp_core.runtime.images.image_bytes import dark_sentence, is_gray
from nanodet_kp_core.runtime.images.image_message import check_compressed, from_compressed, from_image, view_image

TILES = ("rggb", "bggr", "gbrg", "grbg")


def colors():
    """Smooth, and different in all channels."""
    y, x = np.mgrid[0:40, 0:64]
    return np.stack([30 + 3 * x, 60 + 3 * y, 220 - 2 * x], axis=2).astype(np.uint8)


def mosaic_of(image, tile):
    mosaic = np.empty(image.shape[:2], np.uint8)
    for index, letter in enumerate(tile):
        row, column = divmod(index, 2)
        mosaic[row::2, column::2] = image[row::2, column::2, "bgr".index(letter)]
    return mosaic


def message(form, extension, image, *options):
    return CompressedImage(form, array.array("B", encoded(extension, image, *options)))


@pytest.mark.parametrize("tile", TILES)
@pytest.mark.parametrize(
    ("form", "extension", "channels"),
    [
        ("bayer_{}8; jpeg compressed ", ".jpg", 1),
        ("bayer_{}8; png compressed ", ".png", 1),
        ("bayer_{}8;jpeg compressed", ".jpg", 1),
        ("bayer_{}8; jpeg compressed ", ".jpg", 3),  # the mosaic in three equal channels
        ("bayer_{}16; png compressed ", ".png", 16),
    ],
)
def test_a_mosaic_becomes_the_colors_of_the_raw_topic(tile, form, extension, channels):
    mosaic = mosaic_of(colors(), tile)
    raw = Image(64, 40, f"bayer_{tile}8", 64, 0, array.array("B", mosaic.tobytes()))
    stored = {1: mosaic, 3: mosaic[..., None].repeat(3, 2), 16: mosaic.astype(np.uint16) << 8}[channels]
    sent = message(form.format(tile), extension, stored, cv2.IMWRITE_JPEG_QUALITY, 100)
    check_compressed(sent)
    difference = np.abs(from_compressed(sent).astype(int) - from_image(raw))
    assert difference.mean() < (0.5 if extension == ".png" else 3)
    assert is_mosaic(sent)


@pytest.mark.parametrize("form", ["bayer_rggb8; jpeg compressed bgr8", "rgb8; jpeg compressed bgr8", "jpeg", "jpg", ""])
def test_colors_are_left_as_they_are(form):
    got = from_compressed(message(form, ".jpg", colors(), cv2.IMWRITE_JPEG_QUALITY, 100))
    assert np.abs(got.astype(int) - colors()).mean() < 3


@pytest.mark.parametrize(
    "form", ["mono8; jpeg compressed ", "bayer_rggb8; jpeg compressed mono8", "8UC1; jpeg compressed ", "jpeg"]
)
def test_gray_is_gray(form):
    got = from_compressed(message(form, ".jpg", colors()[..., 0]))
    assert (got[..., 0] == got[..., 2]).all()


@pytest.mark.parametrize(
    "form",
    [
        "BayerRG8; jpeg compressed ",
        "bayer_rggb12; png compressed ",
        "yuv422_yuy2; png compressed ",
        "nv12; png compressed ",
    ],
)
def test_a_single_channel_of_an_unknown_kind_is_refused(form):
    with pytest.raises(ImageError, match="whose colors nobody knows; let the camera driver publish bgr8"):
        from_compressed(message(form, ".png", colors()[..., 0]))


@pytest.mark.parametrize(
    "form",
    [
        "16UC1; png compressed ",
        "32FC1; png compressed ",
        "16UC1; png compressed mono16",
        "16UC1;png",
        "16UC1; compressedDepth",
        "16UC1; compressedDepth png",
    ],
)
def test_depth_is_refused_by_its_format(form):
    sent = message(form, ".png", np.full((30, 40), 1200, np.uint16))
    for use in (check_compressed, from_compressed):
        with pytest.raises(ImageError, match="that is depth, not color: remap image_raw"):
            use(sent)


@pytest.mark.parametrize(
    ("form", "encoding"),
    [
        ("rgb8; jpeg compressed bgr8", "bgr8"),
        ("bayer_rggb8; jpeg compressed ", "bayer_rggb8"),
        ("bayer_rggb8 ;jpeg", "bayer_rggb8"),
        ("jpeg", ""),
        ("", ""),
        (";", ""),
        ("; jpeg compressed", ""),
    ],
)
def test_what_format_says(form, encoding):
    assert stored_encoding(form) == encoding


@pytest.mark.parametrize(
    ("extension", "options"), [(".jpg", ()), (".jpg", (cv2.IMWRITE_JPEG_PROGRESSIVE, 1)), (".png", ())]
)
def test_the_number_of_channels_is_read_from_the_head(extension, options):
    assert is_gray(np.frombuffer(encoded(extension, colors()[..., 0], *options), np.uint8))
    assert not is_gray(np.frombuffer(encoded(extension, colors(), *options), np.uint8))


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
@pytest.mark.parametrize("encoding", ["mono16", "bgr16", "rgba16", "bayer_grbg16"])
@pytest.mark.parametrize("big", [0, 1])
def test_the_bits_that_a_raw_picture_uses(bits, encoding, big):
    channels = {"bgr16": 3, "rgba16": 4}.get(encoding, 1)
    values = (np.linspace(0, 255, 8 * 12 * channels).astype(np.uint16) << (bits - 8)).reshape(8, -1)
    if channels == 4:
        values[:, 3::4] = 65535  # what is opaque is not bright
    sent = Image(
        12, 8, encoding, 24 * channels, big, array.array("B", values.astype(">u2" if big else "<u2").tobytes())
    )
    assert view_image(sent).bits == bits


@pytest.mark.parametrize("bits", [10, 12, 16])
def test_the_bits_that_a_compressed_picture_uses(bits):
    sent = message("mono16; png compressed ", ".png", colors()[..., 0].astype(np.uint16) << (bits - 8))
    assert view_compressed(sent).bits == bits
    assert view_compressed(message("bgr8; png compressed ", ".png", colors())).bits is None


def test_only_pictures_that_leave_the_upper_bits_unused_are_told():
    assert "only 12 are used" in dark_sentence(12)
    assert dark_sentence(14) is not None
    assert dark_sentence(16) is None


@pytest.mark.parametrize(
    ("form", "image", "gray"),
    [
        ("jpeg", colors(), False),
        ("jpeg", colors()[..., 0], True),
        ("bayer_rggb8; jpeg compressed ", colors()[..., 0], False),
    ],
)
def test_what_was_compressed_from_one_channel_is_gray(form, image, gray):
    """But for a Bayer pattern, which has colors."""
    assert view_compressed(message(form, ".jpg", image)).is_gray == gray


def test_a_raw_image_of_one_channel_is_gray():
    assert view_image(Image(height=1, width=2, encoding="mono8", step=2, data=array.array("B", [1, 2]))).is_gray
    assert not view_image(Image(height=1, width=1, encoding="rgb8", step=3, data=array.array("B", [1, 2, 3]))).is_gray
