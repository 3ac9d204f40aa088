"""Images of every encoding become pixels, or one sentence; nothing of ROS is needed for it."""

import array
import tracemalloc

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from image_fields import FUZZ_EXAMPLES, CompressedImage, Image

from nanodet_kp_core.errors import ImageError
from nanodet_kp_core.runtime.images.image_message import from_compressed, from_image, view_image


def message(data: np.ndarray, encoding: str, padding: int = 0) -> Image:
    """A message of rows [height, bytes], each followed by `padding` bytes of rubbish."""
    height = data.shape[0]
    rows = np.full((height, data[0].size + padding), 0xAB, np.uint8)
    rows[:, : data[0].size] = data.reshape(height, -1)
    width = data.shape[1]
    made = Image(height=height, width=width, encoding=encoding, step=rows.shape[1])
    made.data = array.array("B", rows.tobytes())
    return made


def gradient(height: int = 24, width: int = 32) -> np.ndarray:
    """Smooth and different in all channels, so that interpolation is exact to a few gray levels."""
    y, x = np.mgrid[0:height, 0:width]
    return np.stack([40 + 4 * x, 60 + 5 * y, 200 - 3 * x], axis=2).astype(np.uint8)


@pytest.mark.parametrize("padding", [0, 5])
@pytest.mark.parametrize("encoding", ["bgr8", "rgb8", "mono8", "bgra8", "rgba8"])
def test_exact_encodings(encoding, padding):
    image = gradient()
    alpha = np.full((*image.shape[:2], 1), 9, np.uint8)
    sent = {
        "bgr8": image,
        "rgb8": image[..., ::-1],
        "mono8": image[..., :1],
        "bgra8": np.concatenate([image, alpha], axis=2),
        "rgba8": np.concatenate([image[..., ::-1], alpha], axis=2),
    }[encoding]
    expected = np.repeat(image[..., :1], 3, axis=2) if encoding == "mono8" else image
    np.testing.assert_array_equal(from_image(message(sent, encoding, padding)), expected)


@pytest.mark.parametrize(("encoding", "order"), [("bgr8", "bgr"), ("rgb8", "rgb"), ("mono8", "mono")])
def test_the_detector_gets_a_view_and_no_copy(encoding, order):
    sent = message(gradient()[..., :1] if order == "mono" else gradient(), encoding, padding=3)
    picture = view_image(sent)
    assert picture.order == order
    assert picture.pixels.shape == ((24, 32) if order == "mono" else (24, 32, 3))
    sent.data[0] = 123
    assert picture.pixels.flat[0] == 123


@pytest.mark.parametrize("big", [0, 1])
@pytest.mark.parametrize("padding", [0, 6])
@pytest.mark.parametrize("encoding", ["mono16", "bgr16", "rgb16", "bgra16", "rgba16", "bayer_rggb16"])
def test_sixteen_bits_are_taken_by_their_upper_byte(encoding, padding, big):
    channels = {"mono16": 1, "bayer_rggb16": 1, "bgr16": 3, "rgb16": 3}.get(encoding, 4)
    rng = np.random.default_rng(2)
    values = rng.integers(0, 65536, (8, 12, channels), np.uint16)
    sent = message(
        values.astype(">u2" if big else "<u2").view(np.uint8).reshape(8, 12, 2 * channels), encoding, padding
    )
    sent.is_bigendian = big
    eight = message((values >> 8).astype(np.uint8), encoding.replace("16", "8"))
    np.testing.assert_array_equal(from_image(sent), from_image(eight))


@pytest.mark.parametrize("big", [0, 1])
def test_eight_bits_have_no_byte_order(big):
    sent = message(gradient(), "bgr8")
    sent.is_bigendian = big
    np.testing.assert_array_equal(from_image(sent), gradient())


@pytest.mark.parametrize("tile", ["rggb", "bggr", "gbrg", "grbg"])
def test_bayer(tile):
    image = gradient()
    mosaic = np.empty(image.shape[:2], np.uint8)
    for index, letter in enumerate(tile):  # the tile from left to right, top to bottom
        row, column = divmod(index, 2)
        mosaic[row::2, column::2] = image[row::2, column::2, "bgr".index(letter)]
    got = from_image(message(mosaic[..., None], f"bayer_{tile}8"))
    inner = (slice(2, -2), slice(2, -2))
    assert np.abs(got[inner].astype(int) - image[inner]).max() <= 6


@pytest.mark.parametrize("encoding", ["yuv422", "uyvy", "yuv422_yuy2", "yuyv"])
def test_yuv422(encoding):
    image = np.repeat(gradient()[:, ::2], 2, axis=1)  # two columns share their color
    yuv = _video_yuv(image)
    packed = np.empty((*image.shape[:2], 2), np.uint8)
    luma, chroma = (1, 0) if encoding in ("yuv422", "uyvy") else (0, 1)
    packed[..., luma] = yuv[..., 0]
    packed[:, 0::2, chroma] = yuv[:, 0::2, 1]
    packed[:, 1::2, chroma] = yuv[:, 1::2, 2]
    got = from_image(message(packed, encoding))
    assert np.abs(got.astype(int) - image).max() <= 4


@pytest.mark.parametrize("padding", [0, 6])
@pytest.mark.parametrize("encoding", ["nv12", "nv21", "yuv420", "i420", "yv12"])
def test_planes(encoding, padding):
    image = gradient()[::2, ::2].repeat(2, axis=0).repeat(2, axis=1)  # two by two pixels share their color
    height, width = image.shape[:2]
    yuv = _video_yuv(image)
    u, v = yuv[::2, ::2, 1], yuv[::2, ::2, 2]
    step = width + padding
    bright = np.pad(yuv[..., 0], ((0, 0), (0, padding)), constant_values=77)
    if encoding.startswith("nv"):
        pair = (u, v) if encoding == "nv12" else (v, u)
        mixed = np.stack(pair, axis=2).reshape(height // 2, width)
        colors = [np.pad(mixed, ((0, 0), (0, padding)), constant_values=9)]
    else:
        order = (v, u) if encoding == "yv12" else (u, v)
        colors = [np.pad(plane, ((0, 0), (0, padding // 2)), constant_values=9) for plane in order]
    data = b"".join(plane.tobytes() for plane in (bright, *colors))
    sent = Image(width=width, height=height, encoding=encoding, step=step, data=array.array("B", data))
    assert len(data) == step * height * 3 // 2
    assert np.abs(from_image(sent).astype(int) - image).max() <= 4
    sent.data = sent.data[:-1]
    with pytest.raises(ImageError, match=r"truncated: expected step \* height \* 3 / 2 = "):
        from_image(sent)
    sent.height -= 1
    with pytest.raises(ImageError, match="expected"):
        from_image(sent)


def _video_yuv(image: np.ndarray) -> np.ndarray:
    """BT.601 in video range, from the definition: Y in 16..235, U and V around 128."""
    b, g, r = (image[..., k].astype(float) for k in range(3))
    y = 16 + 65.481 / 255 * r + 128.553 / 255 * g + 24.966 / 255 * b
    u = 128 - 37.797 / 255 * r - 74.203 / 255 * g + 112.0 / 255 * b
    v = 128 + 112.0 / 255 * r - 93.786 / 255 * g - 18.214 / 255 * b
    return np.stack([y, u, v], axis=2).round().astype(np.uint8)


@pytest.mark.parametrize("extension", [".png", ".jpg"])
def test_compressed(extension):
    image = gradient()
    data = cv2.imencode(extension, image, [cv2.IMWRITE_JPEG_QUALITY, 100])[1]
    got = from_compressed(CompressedImage(format=extension[1:], data=array.array("B", data.tobytes())))
    assert np.abs(got.astype(int) - image).max() <= (0 if extension == ".png" else 12)


def truncated() -> Image:
    made = message(gradient(), "bgr8")
    made.data = made.data[:-1]
    return made


def too_long() -> Image:
    made = message(gradient(), "bgr8")
    made.data.append(0)
    return made


def short_step() -> Image:
    made = message(gradient(), "bgr8")
    made.step = 95
    return made


@pytest.mark.parametrize(
    ("made", "parts"),
    [
        (truncated(), ["bgr8", "32x24", "truncated", "2304", "2303"]),
        (too_long(), ["too long", "2304", "2305"]),
        (short_step(), ["step", "at least 96", "got 95"]),
        (Image(encoding="bgr8"), ["empty", "0x0"]),
        (Image(encoding="bgr8", width=4), ["empty", "4x0"]),
        (message(gradient(), "purple8"), ["'purple8'", "32x24", "expected one of bgr8", "set the camera driver"]),
        (message(gradient()[:, :1, :2], "yuv422"), ["yuv422", "cannot be converted"]),
        (message(gradient()[..., :2], "16UC1"), ["'16UC1'", "that is depth, not color"]),
        (message(gradient()[..., :1], "mono16"), ["inconsistent", "at least 64", "got 32"]),
        (message(gradient(), "x" * 5000), ["'xxxx"]),
    ],
)
def test_bad_image(made, parts):
    with pytest.raises(ImageError) as raised:
        from_image(made)
    for part in parts:
        assert part in str(raised.value)
    assert len(str(raised.value)) < 800


@pytest.mark.parametrize(
    ("width", "height", "step"), [(40000, 34000, 120000), (2**32 - 1, 1, 2**32 - 1), (1, 2**31, 3)]
)
def test_a_header_that_claims_gigabytes_takes_no_memory(width, height, step):
    made = message(gradient(), "bgr8")
    made.width, made.height, made.step = width, height, step
    tracemalloc.start()
    try:
        with pytest.raises(ImageError):
            from_image(made)
        assert tracemalloc.get_traced_memory()[1] < 100_000
    finally:
        tracemalloc.stop()


ENCODINGS = (
    "bgr8",
    "rgb8",
    "mono8",
    "8UC3",
    "bgra8",
    "bayer_rggb8",
    "yuv422",
    "yuv422_yuy2",
    "mono16",
    "bgr16",
    "32FC1",
    "nv12",
    "yuv420",
)
SIDES = st.integers(0, 40) | st.integers(0, 2**32 - 1)


@settings(max_examples=FUZZ_EXAMPLES, deadline=None)
@given(st.sampled_from(ENCODINGS) | st.text(max_size=20), SIDES, SIDES, SIDES, st.binary(max_size=2000), st.booleans())
def test_any_header_over_any_data_is_an_image_or_one_sentence(encoding, width, height, step, data, fits):
    made = Image(width=width, height=height, step=step, encoding=encoding, is_bigendian=len(data) % 2)
    made.data = array.array("B", (data * (step * height))[: step * height] if fits and step * height < 10_000 else data)
    outcome = outcome_of(from_image, made)
    if isinstance(outcome, str):
        assert outcome and "\n" not in outcome
    else:
        assert outcome.shape == (height, width, 3)
        assert outcome.dtype == np.uint8


def outcome_of(convert, made):
    """The image, or the sentence of the only error that is allowed."""
    try:
        return convert(made)
    except ImageError as error:
        return str(error)
