"""Image files of every ending that OpenCV reads are found in a folder, also those of rare tools."""

import cv2
import numpy as np
import pytest

from nanodet_kp_core.detect import main
from nanodet_kp_core.labels.images import Header, image_header, image_names
from nanodet_kp_core.runtime.images.frame_sources import IMAGE_EXTENSIONS, SAVED_EXTENSIONS, open_source

WRITERS = {".jfif": ".jpg", ".jpe": ".jpg", ".pbm": ".ppm"}  # OpenCV writes .pbm without gray levels


def image_bytes(extension: str, gray: int) -> bytes | None:
    """A file of 96x64 gray pixels, None where this OpenCV cannot make one."""
    image = np.full((64, 96, 1 if extension == ".pgm" else 3), gray, np.uint8)
    try:
        made, data = cv2.imencode(WRITERS.get(extension, extension), image)
    except cv2.error:
        return None
    return data.tobytes() if made else None


@pytest.mark.parametrize("extension", [*IMAGE_EXTENSIONS, ".JFIF", ".Ppm"])
def test_a_folder_gives_images_of_this_ending(extension, tmp_path):
    data = image_bytes(extension.lower(), 90)
    if data is None:
        pytest.skip(f"this OpenCV does not write {extension}")
    (tmp_path / "deep").mkdir()
    (tmp_path / f"deep/a{extension}").write_bytes(data)
    (frame,) = open_source(str(tmp_path))
    assert frame.name == f"deep/a{extension}" and frame.image.shape == (64, 96, 3)
    assert np.abs(frame.image.astype(int) - 90).max() <= 3
    (alone,) = open_source(str(tmp_path / frame.name))
    assert np.array_equal(alone.image, frame.image)
    assert image_names(tmp_path) == [frame.name]
    assert image_header(tmp_path / frame.name) == Header(96, 64)


def test_the_usual_endings_can_be_written_here():
    assert all(image_bytes(extension, 1) for extension in (*SAVED_EXTENSIONS, ".jfif", ".jpe", ".ppm", ".pgm"))


def test_annotated_images_are_saved_in_color_whatever_the_source_is(tmp_path):
    for extension in (".jfif", ".pgm"):
        (tmp_path / f"a{extension}").write_bytes(image_bytes(extension, 90) or b"")
    assert main([str(tmp_path), "--save", str(tmp_path / "out")]) == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.jfif.jpg", "a.pgm.jpg"]


def test_sixteen_bits_of_a_pgm_are_taken_by_their_upper_byte(tmp_path, capfd):
    assert cv2.imwrite(str(tmp_path / "a.pgm"), np.full((8, 8), 0x0A7F, np.uint16))
    (frame,) = open_source(str(tmp_path / "a.pgm"))
    assert (frame.image == 0x0A).all()
    assert "only 12 are used" in capfd.readouterr().err
