"""Planes whose colors have as many rows as the brightness: nv24, nv42, nv16, nv61."""

import array

import numpy as np
import pytest
from image_fields import Image

from nanodet_kp_core.errors import ImageError
from nanodet_kp_core.runtime.images.image_message import from_image


def video_yuv(image: np.ndarray) -> np.ndarray:
    """BT.601 in video range, from the definition: Y in 16..235, U and V around 128. BGR -> uint8 [H, W, 3]."""
    weights = np.array([[24.966, 128.553, 65.481], [112.0, -74.203, -37.797], [-18.214, -93.786, 112.0]]) / 255
    return (image.astype(float) @ weights.T + (16, 128, 128)).round().astype(np.uint8)


def message(image: np.ndarray, encoding: str, shared: int, order: str, padding: int) -> Image:
    """An image whose rows end in `padding` bytes of rubbish; `shared` pixels of a row have one color."""
    height, width = image.shape[:2]
    yuv = video_yuv(image)
    colors = yuv[:, ::shared, [1, 2] if order == "UV" else [2, 1]].reshape(height, -1)
    rows = [np.pad(yuv[..., 0], ((0, 0), (0, padding)), constant_values=77)]
    rows.append(np.pad(colors, ((0, 0), (0, 2 * padding // shared)), constant_values=9))
    data = array.array("B", b"".join(part.tobytes() for part in rows))
    return Image(width=width, height=height, encoding=encoding, step=width + padding, data=data)


KINDS = [("nv24", 1, "UV"), ("nv42", 1, "VU"), ("nv16", 2, "UV"), ("nv61", 2, "VU")]


@pytest.mark.parametrize("padding", [0, 6])
@pytest.mark.parametrize(("encoding", "shared", "order"), KINDS)
def test_every_pixel_has_its_color(encoding, shared, order, padding):
    y, x = np.mgrid[0:7, 0:10]
    image = np.stack([20 * (x // shared), 30 * y, 250 - 25 * (x // shared)], axis=2).astype(np.uint8)
    got = from_image(message(image, encoding, shared, order, padding))
    assert got.shape == image.shape and got.dtype == np.uint8
    assert np.abs(got.astype(int) - image).max() <= 4


def test_an_odd_width_is_taken_where_no_pixels_share_a_color():
    image = np.full((5, 9, 3), (200, 60, 30), np.uint8)
    assert np.abs(from_image(message(image, "nv24", 1, "UV", 0)).astype(int) - image).max() <= 4
    sent = message(image[:, :8], "nv16", 2, "UV", 1)
    sent.width = 9
    with pytest.raises(ImageError, match="expected an even width, got 9x5 with a step of 9"):
        from_image(sent)


@pytest.mark.parametrize(("encoding", "wanted"), [("nv24", r"step \* height \* 3 = 180"), ("nv16", r"\* 2 = 120")])
@pytest.mark.parametrize(("change", "word"), [(-1, "truncated"), (1, "too long")])
def test_data_of_another_length_is_refused(encoding, wanted, change, word):
    length = 180 if encoding == "nv24" else 120
    sent = Image(width=10, height=6, encoding=encoding, step=10, data=array.array("B", bytes(length + change)))
    with pytest.raises(ImageError, match=f"{word}: expected .*{wanted} bytes of data, got {length + change}"):
        from_image(sent)
