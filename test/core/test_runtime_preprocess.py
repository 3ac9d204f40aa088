import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nanodet_kp_core.errors import ConfigError, ImageError
from nanodet_kp_core.runtime.detection.preprocess import Preprocessor, fit, preprocess
from nanodet_kp_core.runtime.models.metadata import InputSpec

SPEC = InputSpec(width=416, height=416)


def _blob_image(width, height, x, y, sigma):
    """A bright Gaussian spot at the sub-pixel place (x, y) on black."""
    across, down = np.arange(width), np.arange(height)
    row = np.exp(-((across - x) ** 2) / (2 * sigma**2))
    column = np.exp(-((down - y) ** 2) / (2 * sigma**2))
    gray = np.round(250 * column[:, None] * row[None]).astype(np.uint8)
    return np.repeat(gray[:, :, None], 3, axis=2)


def _centroid(plane):
    mass = plane.sum()
    rows, columns = np.arange(plane.shape[0]), np.arange(plane.shape[1])
    return np.array([(plane.sum(axis=0) * columns).sum() / mass, (plane.sum(axis=1) * rows).sum() / mass])


@pytest.mark.parametrize("resize", ["letterbox", "stretch"])
@pytest.mark.parametrize(
    ("width", "height"),
    [
        (1280, 1024),  # halved, then bilinear
        (1664, 1664),  # halved twice, exactly
        (1281, 721),  # odd: bilinear alone
        (640, 480),
        (416, 416),  # nothing to do
        (200, 150),  # enlarged
        (720, 1280),  # padded left and right
    ],
)
def test_a_spot_is_found_again_where_it_was(width, height, resize):
    spec = InputSpec(width=416, height=416, resize=resize, pad_value=0)
    x, y = 0.37 * width + 0.3, 0.61 * height + 0.6
    image = _blob_image(width, height, x, y, sigma=max(4.0, width / 80))
    blob, placed = preprocess(image, spec)
    found = placed.to_image(_centroid(blob[0, 0].astype(np.float64)))
    # A mapping without the half pixel is off by up to a pixel here.
    np.testing.assert_allclose(found, [x, y], atol=0.05)


@settings(max_examples=200, deadline=None)
@given(
    width=st.integers(1, 5000),
    height=st.integers(1, 5000),
    in_width=st.integers(32, 700),
    in_height=st.integers(32, 700),
    resize=st.sampled_from(["letterbox", "stretch"]),
    seed=st.integers(0, 2**32 - 1),
)
def test_points_come_back(width, height, in_width, in_height, resize, seed):
    placed = fit(width, height, InputSpec(width=in_width, height=in_height, resize=resize))
    # Points far outside the image as well: nothing is clipped.
    points = np.random.default_rng(seed).uniform(-2, 3, (5, 4, 2)) * [width, height]
    np.testing.assert_allclose(placed.to_image(placed.to_input(points)), points, atol=1e-6)


@settings(max_examples=200, deadline=None)
@given(width=st.integers(1, 5000), height=st.integers(1, 5000))
def test_the_image_fills_its_place_exactly(width, height):
    spec = InputSpec(width=416, height=320)
    placed = fit(width, height, spec)
    # The outer edges of the corner pixels land on the edges of the resized image.
    edges = placed.to_input(np.array([[-0.5, -0.5], [width - 0.5, height - 0.5]]))
    np.testing.assert_allclose(edges[0], np.array(placed.pad) - 0.5, atol=1e-6)
    np.testing.assert_allclose(edges[1], np.array(placed.pad) + placed.size - 0.5, atol=1e-6)
    # Centered to within the odd pixel, inside the input, touching it on one axis.
    spare = np.array([spec.width, spec.height]) - placed.size
    assert (spare >= 0).all()
    assert spare.min() == 0
    assert (np.abs(spare - 2 * np.array(placed.pad)) <= 1).all()


def test_padding_is_gray_and_centered():
    blob, placed = preprocess(np.zeros((100, 200, 3), np.uint8), InputSpec(width=64, height=64, pad_value=99))
    assert (placed.pad, placed.size) == ((0, 16), (64, 32))
    assert (blob[0, :, :16] == 99).all()
    assert (blob[0, :, 48:] == 99).all()
    assert (blob[0, :, 16:48] == 0).all()


def test_blob_is_raw_bgr_by_default():
    image = np.zeros((416, 416, 3), np.uint8)
    image[:] = (10, 20, 30)
    blob, _ = preprocess(image, SPEC)
    assert blob.dtype == np.float32
    assert blob.shape == (1, 3, 416, 416)
    assert blob.flags.c_contiguous
    assert blob[0, :, 5, 7].tolist() == [10, 20, 30]


def test_rgb_and_normalisation_are_in_channel_order():
    spec = InputSpec(width=32, height=32, channel_order="rgb", mean=(30.0, 20.0, 0.0), std=(1.0, 2.0, 4.0))
    image = np.zeros((32, 32, 3), np.uint8)
    image[:] = (12, 24, 36)  # B G R
    blob, _ = preprocess(image, spec)
    assert blob[0, :, 0, 0].tolist() == [6, 2, 3]  # (36-30)/1, (24-20)/2, (12-0)/4


def test_thin_bars_survive_a_strong_shrink():
    # Bars one pixel wide, wherever they lie, must keep their light in 1280 -> 416: bilinear alone drops some.
    image = np.zeros((1024, 1280, 3), np.uint8)
    image[:, 4::20] = 255
    blob, placed = preprocess(image, SPEC)
    row = blob[0, 0, placed.pad[1] + 100]
    bars = np.floor(placed.to_input(np.array([[x, 0.0] for x in range(4, 1280, 20)]))[:, 0]).astype(int)
    light = [row[max(0, k - 1) : k + 3].sum() for k in bars]
    assert min(light) > 0.5 * np.mean(light)


@pytest.mark.parametrize("shape", [(1, 1), (1, 3000), (3000, 1), (2, 5000)])
def test_extreme_shapes_pass(shape):
    blob, placed = preprocess(np.full((*shape, 3), 7, np.uint8), SPEC)
    assert min(placed.size) >= 1
    assert blob.shape == (1, 3, 416, 416)


def test_views_and_read_only_arrays_pass():
    image = np.random.default_rng(0).integers(0, 256, (90, 120, 3), dtype=np.uint8)
    image.setflags(write=False)
    wanted, _ = preprocess(image[:, ::-1].copy(), SPEC)
    np.testing.assert_array_equal(preprocess(image[:, ::-1], SPEC)[0], wanted)


@pytest.mark.parametrize(
    ("image", "got"),
    [
        (
            None,
            "NoneType; cv2.imread gives None for a file that it cannot read: check the path",
        ),  # what cv2.imread gives for a broken file
        (np.zeros((4, 4), np.uint8), "uint8 [4, 4]"),
        (np.zeros((4, 4, 4), np.uint8), "uint8 [4, 4, 4]"),
        (np.zeros((0, 4, 3), np.uint8), "uint8 [0, 4, 3]"),
        (np.zeros((4, 0, 3), np.uint8), "uint8 [4, 0, 3]"),
        (np.zeros((4, 4, 3), np.float32), "float32 [4, 4, 3]"),
    ],
)
def test_other_images_are_refused(image, got):
    with pytest.raises(ImageError, match="expected an image as uint8") as error:
        preprocess(image, SPEC)
    assert f"got {got}" in str(error.value)


@pytest.mark.parametrize("size", [(1280, 1024), (1281, 721), (416, 416), (200, 300)])
@pytest.mark.parametrize("order", ["bgr", "rgb"])
def test_bytes_are_the_same_pixels_as_numbers(size, order):
    image = np.random.default_rng(1).integers(0, 256, (size[1], size[0], 3), np.uint8)
    as_bytes, placed = preprocess(image, InputSpec(width=416, height=320, dtype="uint8", channel_order=order))
    as_numbers, same = preprocess(image, InputSpec(width=416, height=320, channel_order=order))
    assert (as_bytes.dtype, placed) == (np.uint8, same)
    np.testing.assert_array_equal(as_bytes, as_numbers)


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_the_order_of_the_image_makes_no_difference(dtype):
    spec = InputSpec(width=96, height=64, dtype=dtype)
    image = np.random.default_rng(2).integers(0, 256, (150, 200, 3), np.uint8)
    wanted, _ = preprocess(image, spec)
    np.testing.assert_array_equal(Preprocessor(spec)(np.ascontiguousarray(image[..., ::-1]), "rgb")[0], wanted)
    gray = np.repeat(image[..., :1], 3, axis=2)
    wanted, _ = preprocess(gray, spec)
    np.testing.assert_array_equal(Preprocessor(spec)(np.ascontiguousarray(image[..., 0]), "mono")[0], wanted)


@pytest.mark.parametrize("order", ["bgr", "mono"])
def test_rows_with_padding_are_read_where_they_lie(order):
    """A message's `step` may be larger than its row; the view of its bytes has gaps then."""
    channels = 1 if order == "mono" else 3
    memory = np.random.default_rng(3).integers(0, 256, (90, 130 * channels), np.uint8)
    rows = memory[:, : 120 * channels]
    image = rows if order == "mono" else np.lib.stride_tricks.as_strided(rows, (90, 120, 3), (390, 3, 1))
    image.setflags(write=False)
    spec = InputSpec(width=64, height=64)
    blob = Preprocessor(spec)(image, order)[0]
    np.testing.assert_array_equal(blob, Preprocessor(spec)(image.copy(), order)[0])


def test_one_preprocessor_takes_images_of_changing_sizes():
    """The padding of one size must not hold pixels of the size before."""
    spec = InputSpec(width=64, height=64)
    one = Preprocessor(spec)
    for width, height in [(200, 100), (100, 200), (64, 64), (30, 100), (200, 100)]:
        image = np.random.default_rng(width).integers(0, 256, (height, width, 3), np.uint8)
        np.testing.assert_array_equal(one(image)[0], preprocess(image, spec)[0])
        np.testing.assert_array_equal(one(image[..., 0], "mono")[0][:, :1], preprocess(image, spec)[0][:, :1])


def test_a_batch_holds_every_image():
    spec = InputSpec(width=64, height=32, batch=3)
    images = list(np.random.default_rng(4).integers(0, 256, (3, 50, 70, 3), np.uint8))
    blob, placed = Preprocessor(spec).batch(images)
    assert blob.shape == (3, 3, 32, 64)
    for image, own in zip(images, blob, strict=True):
        alone, same = preprocess(image, InputSpec(width=64, height=32))
        np.testing.assert_array_equal(own, alone[0])
        assert placed == same
    with pytest.raises(ImageError, match="images of one size"):
        Preprocessor(spec).batch([images[0], images[0][:-1]])


def test_an_unknown_order_is_refused():
    with pytest.raises(ConfigError, match="channel_order: expected one of"):
        Preprocessor(SPEC)(np.zeros((4, 4, 3), np.uint8), "hsv")
    with pytest.raises(ImageError, match=r"uint8 \[height, width\] \(MONO\)"):
        Preprocessor(SPEC)(np.zeros((4, 4, 3), np.uint8), "mono")


def test_the_halved_image_is_kept_where_it_was_needed():
    rng = np.random.default_rng(0)
    preprocessor = Preprocessor(InputSpec(64, 48))
    large, small = rng.integers(0, 255, (240, 320, 3), np.uint8), rng.integers(0, 255, (90, 120, 3), np.uint8)
    preprocessor(large)
    assert np.array_equal(preprocessor.halved, cv2.resize(large, (160, 120), interpolation=cv2.INTER_AREA))
    preprocessor(small)
    assert preprocessor.halved is None
