"""The split: by folder, by name, by blocks of frames, and what lies in both parts."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from nanodet_kp_core.adapt.plan import split_own
from nanodet_kp_core.adapt.sources import held_sources, sources_of, split_records
from nanodet_kp_core.adapt.twins import twins
from nanodet_kp_core.errors import DataError
from nanodet_kp_core.labels.sample import Record

CORNERS = np.array([[[10, 10], [10, 20], [30, 20], [30, 10]]], np.float32)


def record(name, plates=1, path=None):
    return Record(
        path=path or Path(name), name=name, width=64, height=48, corners=np.repeat(CORNERS, plates, axis=0),
        labels=np.zeros(plates, np.int64),
    )  # fmt: skip


def frames(source, count):
    return [record(f"{source}{k}.png") for k in range(count)]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["a/1.png", "a/2.png", "b/1.png"], ["a", "a", "b"]),
        (["red_0001.png", "red_0002.png", "blue-1.png", "blue-2.png"] * 2, ["red", "red", "blue", "blue"] * 2),
        (["x1y.png", "x2z.png", "qq.png"], [".", ".", "."]),  # a source an image is none
        (["0001.png", "0002.png"], [".", "."]),
    ],
)
def test_a_source_is_a_folder_or_the_beginning_of_a_name(names, expected):
    found = sources_of(names)
    assert [found[name] for name in names] == expected


def test_one_video_gives_blocks_of_frames_that_do_not_touch():
    split = split_records(frames("video_", 100))
    order = {f"video_{k}.png": k for k in range(100)}
    train, validation = ({order[r.name] for r in part} for part in (split.train, split.validation))
    assert not train & validation and 0.15 < len(validation) / 100 < 0.25
    assert not any(k + 1 in train or k - 1 in train for k in validation)
    assert len(train) + len(validation) + len(split.left_out) == 100
    assert "2 block(s) of neighboring frames of 1 source(s)" in split.how


def test_frames_are_put_in_order_as_people_count():
    split = split_records([record(f"f{k}.png") for k in (9, 10, 1, 2, 11, 3, 4, 5, 6, 7, 8)])
    assert [r.name for r in split.validation] == ["f5.png", "f6.png"]


def test_some_sources_are_held_out_whole_and_the_others_give_blocks():
    split = split_records([r for k in range(5) for r in frames(f"cam{k}/", 20 if k else 10)])
    whole = {r.name for r in split.validation} - {r.name for k in range(1, 5) for r in frames(f"cam{k}/", 20)}
    assert whole == {r.name for r in frames("cam0/", 10)}
    assert not any(r.name.startswith("cam0") for r in split.train)
    assert all(any(r.name.startswith(f"cam{k}") for r in split.validation) for k in range(5))


def test_many_sources_are_held_out_whole():
    split = split_records([r for k in range(20) for r in frames(f"match{k:02d}/", 10)])
    parts = [{split.source_of[r.name] for r in part} for part in (split.train, split.validation)]
    assert not parts[0] & parts[1] and len(parts[1]) == 4 and not split.left_out


def test_held_out_sources_come_near_the_share_and_are_rather_two_than_one():
    assert held_sources({"a": 100, "b": 20, "c": 10, "d": 10, "e": 60}, 0.1) == ("c", "d")
    assert held_sources({"a": 100, "b": 100}, 0.1) == ()


def test_too_few_images_and_a_part_without_plates():
    with pytest.raises(DataError, match="expected at least 10 images to split, got 3"):
        split_records(frames("v", 3))
    with pytest.raises(DataError, match="expected plates in the validation part, got none in 2 images"):
        split_records([record(f"v{k}.png", plates=int(k < 4)) for k in range(11)])


@pytest.fixture
def images(tmp_path):
    """Images of noise that is even within a cell; the last one is the first with another JPEG quality."""
    rng, made = np.random.default_rng(0), []
    for k in range(4):
        image = np.kron(rng.integers(0, 255, (6, 8)), np.ones((8, 8))).astype(np.uint8)
        cv2.imwrite(str(tmp_path / f"{k}.jpg"), cv2.cvtColor(image, cv2.COLOR_GRAY2BGR))
        made.append(record(f"{k}.jpg", path=tmp_path / f"{k}.jpg"))
    copy = cv2.imread(str(tmp_path / "0.jpg"))
    cv2.imwrite(str(tmp_path / "copy.jpg"), copy, [cv2.IMWRITE_JPEG_QUALITY, 80])
    moved = copy.copy()
    moved[20:28, 20:28] = 255 - moved[20:28, 20:28]  # as a robot that has moved before a camera that has not
    cv2.imwrite(str(tmp_path / "moved.jpg"), moved)
    return made, *(record(name, path=tmp_path / name) for name in ("copy.jpg", "moved.jpg"))


def test_an_image_in_training_and_validation_alike_leaves_training(images):
    made, copy, moved = images
    assert twins(made, [copy, moved]) == [("0.jpg", "copy.jpg")]
    split = split_own(made, [copy])
    assert [r.name for r in split.train] == ["1.jpg", "2.jpg", "3.jpg"]
    assert "1 training image(s) show the same as one of validation" in split.how and "0.jpg (copy.jpg)" in split.how
    with pytest.raises(DataError, match="expected training images that are no validation images as well, got 1"):
        split_own(made[:1], [copy])
