import struct

import cv2
import numpy as np
import pytest

from nanodet_kp_core.errors import SourceError
from nanodet_kp_core.runtime.images.capture import turn_of
from nanodet_kp_core.runtime.images.frame_sources import open_source


def _write(path, gray=50, size=(20, 30)):
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), np.full((*size, 3), gray, np.uint8))


def _video(path, frames=5, fps=10):
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), fps, (64, 48))
    assert writer.isOpened()
    for index in range(frames):
        writer.write(np.full((48, 64, 3), 40 * index, np.uint8))
    writer.release()
    return path


def test_one_image(tmp_path):
    _write(tmp_path / "a.PNG", gray=77)
    source = open_source(str(tmp_path / "a.PNG"))
    (frame,) = source
    assert (frame.name, frame.time_s, source.fps, source.live) == ("a.PNG", None, None, False)
    assert frame.image.shape == (20, 30, 3)
    assert (frame.image == 77).all()


def test_gray_and_alpha_images_become_bgr(tmp_path):
    cv2.imwrite(str(tmp_path / "gray.png"), np.full((4, 5), 9, np.uint8))
    cv2.imwrite(str(tmp_path / "alpha.png"), np.full((4, 5, 4), 9, np.uint8))
    assert [frame.image.shape for frame in open_source(str(tmp_path))] == [(4, 5, 3), (4, 5, 3)]


def test_folder_is_recursive_sorted_and_relative(tmp_path):
    for name in ("b.png", "sub/deep/a.jpg", "a.bmp", "sub/c.jpeg", "Ünï ö.png"):
        _write(tmp_path / name) if name.isascii() else (tmp_path / name).write_bytes(_png())
    (tmp_path / "notes.txt").write_text("no image")
    (tmp_path / "folder.png").mkdir()
    source = open_source(str(tmp_path))
    wanted = ["a.bmp", "b.png", "sub/c.jpeg", "sub/deep/a.jpg", "Ünï ö.png"]
    assert [frame.name for frame in source] == wanted
    assert [frame.name for frame in source] == wanted  # a player loops
    assert len(source) == 5


def _png():
    return cv2.imencode(".png", np.zeros((3, 3, 3), np.uint8))[1].tobytes()


def test_unreadable_images_in_a_folder_are_warned_of_and_counted(tmp_path, capfd):
    _write(tmp_path / "good.png")
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "garbage.jpg").write_bytes(b"no image" * 20)
    source = open_source(str(tmp_path))
    assert [frame.name for frame in source] == ["good.png"]
    assert source.unreadable == ["empty.png", "garbage.jpg"]
    warnings = [line for line in capfd.readouterr().err.splitlines() if line.startswith("warning:")]
    assert len(warnings) == 2
    assert str(tmp_path / "empty.png") in warnings[0]


@pytest.mark.parametrize("count", [1, 2])
def test_nothing_readable_is_an_error(tmp_path, count):
    for index in range(count):
        (tmp_path / f"{index}.png").write_bytes(b"no image")
    path = tmp_path if count == 2 else tmp_path / "0.png"
    got = "2 files that OpenCV cannot decode; check that they are" if count == 2 else "a file that OpenCV cannot decode"
    with pytest.raises(SourceError, match=f"expected a readable image, got {got}") as error:
        list(open_source(str(path)))
    assert str(path) in str(error.value)


def test_folder_without_images(tmp_path):
    with pytest.raises(SourceError, match="in the folder or below, got none"):
        open_source(str(tmp_path))


def test_missing_path(tmp_path):
    with pytest.raises(SourceError, match="got no such file; check the path") as error:
        open_source(str(tmp_path / "none"))
    assert str(tmp_path / "none") in str(error.value)


def test_empty_source_is_not_the_current_folder(tmp_path, monkeypatch):
    _write(tmp_path / "a.png")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SourceError, match="got an empty text"):
        open_source("")


def test_video_has_times_and_plays_again(tmp_path):
    source = open_source(str(_video(tmp_path / "v.avi")))
    assert (source.fps, source.live) == (10.0, False)
    for _ in range(2):
        frames = list(source)
        assert [frame.name for frame in frames] == [f"frame_{index:06d}" for index in range(5)]
        np.testing.assert_allclose([frame.time_s for frame in frames], [0, 0.1, 0.2, 0.3, 0.4])
        # The first frame was read ahead: it must be neither lost nor doubled.
        np.testing.assert_allclose([frame.image.mean() for frame in frames], [0, 40, 80, 120, 160], atol=3)
    source.close()


def test_a_video_left_in_the_middle_starts_again(tmp_path):
    source = open_source(str(_video(tmp_path / "v.avi")))
    for frame in source:
        if frame.name == "frame_000002":
            break
    assert next(iter(source)).image.mean() < 3
    source.close()


@pytest.mark.parametrize("name", ["text.txt", "film.mp4"])
def test_files_that_are_no_video(tmp_path, name):
    (tmp_path / name).write_bytes(b"neither image nor video")
    with pytest.raises(SourceError, match="without a single frame") as error:
        open_source(str(tmp_path / name))
    assert str(tmp_path / name) in str(error.value)


def test_missing_camera():
    with pytest.raises(SourceError, match="camera 987: expected a camera with this index"):
        open_source("987")


class _Camera:
    """Stands for cv2.VideoCapture of a camera: three images, then the cable is pulled."""

    def __init__(self, index):
        assert index == 3
        self.left = 3
        self.released = False

    def isOpened(self):
        return True

    def read(self):
        self.left -= 1
        return (True, np.full((4, 4, 3), self.left, np.uint8)) if self.left >= 0 else (False, None)

    def get(self, _):
        return 0.0

    def release(self):
        self.released = True


def test_camera_goes_on_and_a_pulled_cable_is_an_error(monkeypatch):
    monkeypatch.setattr(cv2, "VideoCapture", _Camera)
    source = open_source("3")
    assert (source.live, source.fps) == (True, None)
    frames = iter(source)
    seen = [next(frames) for _ in range(3)]
    assert [frame.name for frame in seen] == ["frame_000000", "frame_000001", "frame_000002"]
    assert [int(frame.image[0, 0, 0]) for frame in seen] == [2, 1, 0]
    assert {frame.time_s for frame in seen} == {None}
    with pytest.raises(SourceError, match="camera 3: expected a next image"):
        next(frames)
    source.close()
    assert source._capture._capture.released


def test_a_linked_folder_is_no_blind_spot(tmp_path):
    _write(tmp_path / "store/b.png")
    _write(tmp_path / "images/a.png")
    (tmp_path / "images/part").symlink_to("../store")
    assert [frame.name for frame in open_source(str(tmp_path / "images"))] == ["a.png", "part/b.png"]


@pytest.mark.parametrize("extension", [".png", ".tif"])
@pytest.mark.parametrize("bits", [10, 12, 16])
def test_files_of_sixteen_bits_that_leave_the_upper_ones_unused_are_told(tmp_path, capfd, extension, bits):
    values = np.linspace(0, (1 << bits) - 1, 600).astype(np.uint16).reshape(20, 30)
    for number in range(2):
        cv2.imwrite(str(tmp_path / f"{number}{extension}"), values)
    frames = list(open_source(str(tmp_path)))
    assert (frames[0].image[..., 1] == values >> 8).all()
    said = capfd.readouterr().err
    assert said.count("warning: ") == (0 if bits == 16 else 1)
    assert f"only {bits} are used" in said if bits < 16 else True


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("img_%04d.png", ["img_0001.png", "img_0002.png"]),
        ("img_%d.png", ["img_0001.png", "img_0002.png"]),
        ("*.png", ["img_0001.png", "img_0002.png", "other.png"]),
        ("img_000[2-9].*", ["img_0002.png"]),
    ],
)
def test_a_pattern_stands_for_its_images(tmp_path, pattern, names):
    for name in ("img_0002.png", "img_0001.png", "other.png"):
        _write(tmp_path / name)
    (tmp_path / "img_0003.txt").write_text("no image")
    assert [frame.name for frame in open_source(str(tmp_path / pattern))] == names


@pytest.mark.parametrize("pattern", ["zz*.png", "*.mp4", "img_%04d.jpg"])
def test_a_pattern_that_nothing_fits_says_so(tmp_path, pattern):
    _write(tmp_path / "img_0001.png")
    (tmp_path / "a.mp4").write_bytes(b"video")
    with pytest.raises(SourceError, match="that fit this pattern, got none; videos are named one by one"):
        open_source(str(tmp_path / pattern))


def test_a_name_that_looks_like_a_pattern_is_a_name_first(tmp_path):
    _write(tmp_path / "a[1].png")
    _write(tmp_path / "a1.png")
    assert [frame.name for frame in open_source(str(tmp_path / "a[1].png"))] == ["a[1].png"]


def test_a_device_is_a_camera(monkeypatch):
    opened = []
    monkeypatch.setattr(cv2, "VideoCapture", lambda source: opened.append(source) or _Camera(source))
    assert open_source("/dev/video3").live
    assert opened == [3]


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("http://127.0.0.1:9/none.mjpg", "source http://127.0.0.1:9/none.mjpg: expected a stream that OpenCV can open"),
        ("own_%04d.png", "that fit this pattern, got none"),
        ("*.png", "that fit this pattern, got none"),
        ("gopher://host/a", "got a URL (gopher), which is not read here"),
    ],
)
def test_a_source_is_refused_by_what_it_is(tmp_path, monkeypatch, source, words):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SourceError) as raised:
        open_source(source)
    assert words in str(raised.value)


def test_a_recording_is_no_video(tmp_path):
    (tmp_path / "own.db3").write_bytes(b"SQLite")
    with pytest.raises(SourceError, match="got a recording of ROS; the node player_node plays it"):
        open_source(str(tmp_path / "own.db3"))


UPRIGHT = np.kron(np.array([[20, 90], [160, 230]], np.uint8), np.ones((24, 32), np.uint8))[..., None].repeat(3, 2)
# The matrix in the header of the track, and how the image that it sets upright lies in the file.
TURNED = {
    90: ((0, 1, -1, 0), cv2.ROTATE_90_COUNTERCLOCKWISE),
    180: ((-1, 0, 0, -1), cv2.ROTATE_180),
    270: ((0, -1, 1, 0), cv2.ROTATE_90_CLOCKWISE),
}


@pytest.mark.parametrize("angle", TURNED)
def test_a_video_of_a_phone_is_upright(tmp_path, angle):
    matrix, code = TURNED[angle]
    stored = cv2.rotate(UPRIGHT, code)
    path = tmp_path / "phone.mp4"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"mp4v"), 30, stored.shape[1::-1])
    for _ in range(3):
        writer.write(stored)
    writer.release()
    data = bytearray(path.read_bytes())
    place = data.index(b"tkhd") + 4
    place += 40 if data[place] == 0 else 52  # version, times, layer and volume stand before it
    a, b, c, d = (value << 16 for value in matrix)
    data[place : place + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(data)
    for frame in open_source(str(path)):
        assert frame.image.shape == UPRIGHT.shape
        assert np.abs(frame.image.astype(int) - UPRIGHT).mean() < 5


@pytest.mark.parametrize(
    ("degrees", "version", "code"),
    [
        (90, "4.14.0", cv2.ROTATE_90_CLOCKWISE),
        (270, "4.7.0", cv2.ROTATE_90_COUNTERCLOCKWISE),
        (-90, "4.7.0", cv2.ROTATE_90_COUNTERCLOCKWISE),
        (90, "4.6.0", cv2.ROTATE_90_COUNTERCLOCKWISE),
        (270, "4.6.0-dev", cv2.ROTATE_90_CLOCKWISE),
        (180, "4.6.0", cv2.ROTATE_180),
        (0, "4.6.0", None),
        (45, "4.14.0", None),
        (float("nan"), "4.14.0", None),
    ],
)
def test_the_turn_of_a_video(degrees, version, code):
    assert turn_of(degrees, version) == code
