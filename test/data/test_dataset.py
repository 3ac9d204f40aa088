"""The data set: an item depends on (seed, epoch, index) only, whoever makes it, and a batch survives the pickling."""

import json
import os
import pickle

import cv2
import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from nanodet_kp_core.classes import ARMOR_CLASSES
from nanodet_kp_core.config import DataConfig, SyntheticConfig
from nanodet_kp_core.data.dataset import (
    Batch,
    EpochBatches,
    PlateDataset,
    collate,
    ignore_unreadable,
    init_worker,
    sample_targets,
)
from nanodet_kp_core.files import write_atomically
from nanodet_kp_core.labels.coco import coco_document
from nanodet_kp_core.labels.sample import Sample
from nanodet_kp_core.layout import HeadLayout
from nanodet_kp_core.synthetic.generator import render

FACTORED = HeadLayout(ARMOR_CLASSES, "factored")
PIPELINE = {
    "perspective": 0.0005, "scale": [0.8, 1.2], "stretch": [[0.9, 1.1], [0.9, 1.1]], "rotation": 5, "shear": 3,
    "translate": 0.1, "brightness": 0.05, "contrast": [0.8, 1.2], "saturation": [0.8, 1.2], "hue": 6,
    "gamma": [0.8, 1.2], "motion_blur": 0.2, "noise": 5, "jpeg": 0.2, "mosaic": 0.5, "copy_paste": 0.5,
    "mosaic_off_epochs": 2,
}  # fmt: skip
COUNT = 8
SIZE = (160, 128)


def picture(seed):
    """One to three plates on a background of their own; the first one's number is unknown in every other image."""
    rng = np.random.default_rng(seed)
    image = cv2.resize(rng.integers(0, 200, (5, 6, 3), dtype=np.uint8), SIZE)
    count = 1 + seed % 3
    middles = np.stack([(np.arange(count) + 0.5) * SIZE[0] / count, rng.uniform(50, 80, count)], axis=1)
    signs = np.array([[-1, -1], [-1, 1], [1, 1], [1, -1]])
    corners = (middles[:, None] + signs * (12, 6) + rng.uniform(-1, 1, (count, 4, 2))).astype(np.float32)
    for quad in corners:
        cv2.fillConvexPoly(image, np.round(quad).astype(np.int32), (250, 120, 60))
    known = np.arange(count) + seed % 2 > 0
    return Sample(image=image, corners=corners, labels=rng.integers(0, 36, count), number_known=known)


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    folder = tmp_path_factory.mktemp("set")
    samples = [(f"{seed}.png", picture(seed)) for seed in range(COUNT)]
    for name, sample in samples:
        cv2.imwrite(str(folder / name), sample.image)
    write_atomically(folder / "labels.json", json.dumps(coco_document(samples, ARMOR_CLASSES)).encode())
    return DataConfig(img_path=folder, ann_path=folder / "labels.json", input_size=(128, 96), pipeline=dict(PIPELINE))


def same(first, second):
    return torch.equal(first[0], second[0]) and first[2] == second[2] and same_targets(first[1], second[1])


def same_targets(first, second):
    pairs = [(getattr(first, name), getattr(second, name)) for name in type(first).__dataclass_fields__]
    return all(a.dtype == b.dtype and torch.equal(a, b) for a, b in pairs)


def test_an_item_depends_on_seed_epoch_and_index_alone(config):
    data, again = PlateDataset(config, FACTORED, 3), PlateDataset(config, FACTORED, 3)
    keys = [(epoch, index) for epoch in (0, 1) for index in range(COUNT)]
    items = {key: data[key] for key in keys}
    np.random.seed(1)  # noqa: NPY002
    cv2.setRNGSeed(77)
    assert all(same(items[key], again[key]) for key in reversed(keys))
    assert not any(torch.equal(items[0, k][0], items[1, k][0]) for k in range(COUNT))
    assert not torch.equal(PlateDataset(config, FACTORED, 4)[0, 0][0], items[0, 0][0])


def test_persistent_workers_follow_the_epoch_and_agree_with_one_process(config):
    data = PlateDataset(config, FACTORED, 3)
    batches = EpochBatches(len(data), 3, 3)
    loader = DataLoader(
        data, batch_sampler=batches, num_workers=2, collate_fn=collate, worker_init_fn=init_worker,
        persistent_workers=True,
    )  # fmt: skip
    for epoch, skip in ((0, 0), (1, 1)):
        batches.set_epoch(epoch, skip)
        wanted = [collate([data[key] for key in keys]) for keys in batches]
        got = list(loader)
        assert len(got) == len(wanted) == 2 - skip
        for ours, theirs in zip(got, wanted, strict=True):
            assert torch.equal(ours.images, theirs.images) and ours.names == theirs.names
            assert ours.images.is_contiguous(memory_format=torch.channels_last)
            assert all(same_targets(a, b) for a, b in zip(ours.targets, theirs.targets, strict=True))


def test_mosaic_and_copy_paste_end_before_the_training_does(config):
    always = config.model_copy(update={"pipeline": config.pipeline.model_copy(update={"mosaic": 1.0})})
    data = PlateDataset(always, FACTORED, 0, total_epochs=5)  # two without
    assert [" + " in data.sample(epoch, 0).name for epoch in range(5)] == [True, True, True, False, False]
    assert " + " in PlateDataset(always, FACTORED, 0).sample(1000, 0).name
    pasted = config.model_copy(
        update={"pipeline": config.pipeline.model_copy(update={"mosaic": 0.0, "copy_paste": 1.0})}
    )
    data = PlateDataset(pasted, FACTORED, 0, total_epochs=5)
    names = [[data.sample(epoch, k).name for k in range(COUNT)] for epoch in (2, 3)]
    assert any(" + " in name for name in names[0]) and not any(" + " in name for name in names[1])


def test_all_augmentations_off_and_augment_false_are_the_resized_picture(config):
    off = config.model_copy(update={"pipeline": type(config.pipeline)()})
    plain = PlateDataset(config, FACTORED, augment=False)
    for index in range(3):
        first, second = PlateDataset(off, FACTORED)[0, index], plain[4, index]
        assert same(first, second)


def test_colors_of_the_item_are_those_of_the_file(config):
    """Not rearranged on the way from [H, W, 3] to the batch."""
    data = PlateDataset(config, FACTORED, augment=False)
    batch = collate([data[0, 0], data[0, 1]])
    assert batch.images.shape == (2, 3, 96, 128) and batch.images.dtype == torch.uint8
    sample = data.sample(0, 1)
    assert np.array_equal(batch.images[1].permute(1, 2, 0).numpy(), sample.image)
    middle = batch.images[1, :, 48, 64].float()
    source = cv2.imread(str(config.img_path / "1.png"))[63:66, 79:82].reshape(-1, 3).mean(axis=0)
    assert np.abs(middle.numpy() - source).max() < 40


def test_targets_carry_boxes_and_visibility():
    sample = Sample(
        image=np.zeros((8, 8, 3), np.uint8),
        corners=np.float32([[[1, 1], [1, 3], [5, 3], [5, 1]]]),
        labels=np.array([4]),
        boxes=np.float32([[0, 0, 6, 5]]),
        visible=np.array([[2, 1, 0, 2]], np.int8),
    )
    targets = sample_targets(sample)
    assert targets.boxes.tolist() == [[0, 0, 6, 5]]
    assert targets.corner_visible.tolist() == [[True, True, False, True]]
    assert targets.corners.shape == (1, 4, 2) and targets.labels.dtype == torch.int64
    empty = sample_targets(Sample(image=sample.image))
    assert empty.boxes.shape == (0, 4) and empty.corners.shape == (0, 4, 2) and empty.corner_visible.shape == (0, 4)


def test_unreadable_plates_are_ignored_where_classes_are_joint(config):
    readable, sample = picture(1), picture(2)
    assert ignore_unreadable(readable) is readable
    sample.boxes[0] += (-3, -3, 3, 3)
    left = ignore_unreadable(sample)
    assert np.array_equal(left.corners, sample.corners[1:]) and np.array_equal(left.labels, sample.labels[1:])
    assert np.array_equal(left.ignore_boxes, sample.boxes[:1])
    joint = PlateDataset(config, HeadLayout(ARMOR_CLASSES), 3)
    assert all(joint[0, index][1].number_known.all() for index in range(COUNT))


def batch_of(config):
    data = PlateDataset(config, FACTORED, 3)
    return collate([data[0, index] for index in range(4)])


def test_a_batch_is_the_same_in_another_process(config):
    batch = batch_of(config)
    other = pickle.loads(pickle.dumps(batch))
    assert isinstance(other, Batch) and other.names == batch.names
    assert torch.equal(other.images, batch.images)
    assert len({len(t.labels) for t in batch.targets}) > 1
    assert all(same_targets(a, b) for a, b in zip(batch.targets, other.targets, strict=True))
    assert other.images.is_contiguous(memory_format=torch.channels_last)


def test_a_batch_takes_few_file_descriptors(config):
    """A tensor a plate field would take six an image: a large batch then ends with "too many open files"."""
    data = PlateDataset(config, FACTORED, 3)
    batches = EpochBatches(len(data), COUNT, 3)
    loader = DataLoader(data, batch_sampler=batches, num_workers=1, collate_fn=collate)
    before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else pytest.skip("needs /proc")
    kept = list(loader)
    assert len(kept) == 1 and len(os.listdir("/proc/self/fd")) - before < COUNT


def test_rendered_pictures_are_fresh_in_every_epoch():
    """What an item shows is what its seed renders; no seed comes twice."""
    config = SyntheticConfig(pictures=3, first_seed=700, size=(96, 64), plate_px=(20, 60), input_size=(96, 64))
    data = PlateDataset(config, FACTORED)
    assert len(data) == 3
    seen = {(epoch, index): data.sample(epoch, index) for epoch in (0, 1) for index in range(3)}
    assert sorted(sample.name for sample in seen.values()) == [str(seed) for seed in range(700, 706)]
    expected = render(704, (96, 64), (20, 60))
    assert np.array_equal(seen[1, 1].image, expected.image)
    assert np.allclose(seen[1, 1].corners, expected.corners, atol=1e-4)
