"""Several sources of training images: shares, order, fresh ones, and what a configuration may say."""

import pytest
import yaml

from nanodet_kp_core.config import check_paths, load_config
from nanodet_kp_core.config.data import DataSets
from nanodet_kp_core.data.mixture import MixedDataset, training_set
from nanodet_kp_core.errors import ConfigError

RENDERED = {"name": "SyntheticDataset", "pictures": 1, "size": [64, 64], "plate_px": [10, 40], "input_size": [64, 64]}


@pytest.fixture
def own(tmp_path):
    """Five images without plates but one, as a section of a configuration."""
    import json

    import cv2
    import numpy as np

    from nanodet_kp_core.classes import ARMOR_CLASSES
    from nanodet_kp_core.labels.coco import coco_document
    from nanodet_kp_core.labels.sample import Sample

    samples = []
    for k in range(5):
        image = np.full((64, 64, 3), 40 * k, np.uint8)
        cv2.imwrite(str(tmp_path / f"{k}.png"), image)
        corners = np.array([[[10, 10], [10, 20], [30, 20], [30, 10]]], np.float32)[: int(k == 0)]
        samples.append((f"{k}.png", Sample(image=image, corners=corners, labels=np.zeros(len(corners), np.int64))))
    (tmp_path / "labels.json").write_text(json.dumps(coco_document(samples, ARMOR_CLASSES)))
    return {"img_path": str(tmp_path), "ann_path": str(tmp_path / "labels.json"), "input_size": [64, 64]}


def written(tmp_path, train, own):
    path = tmp_path / "c.yaml"
    head = {"strides": [8, 16, 32], "input_channel": 48}
    arch = {"fpn": {"name": "GhostPAN", "out_channels": 48, "num_extra_level": 0}, "head": head}
    values = {"save_dir": str(tmp_path / "run"), "model": {"arch": arch}, "data": {"train": train, "val": own}}
    path.write_text(yaml.safe_dump(values))
    return path


def test_shares_follow_the_weights_and_every_own_image_is_shown_once(tmp_path, own):
    train = [{**own, "weight": 1}, {**RENDERED, "weight": 2}, {**own, "weight": 0.6}]
    config = load_config(written(tmp_path, train, own))
    check_paths(config, "c.yaml")
    data = training_set(config)
    assert isinstance(data, MixedDataset) and data.counts == [5, 10, 3] and len(data) == 18
    for epoch in range(2):
        names = [data.sample(epoch, k).name for k in range(18)]
        assert sorted(names[:5]) == [f"{k}.png" for k in range(5)]
        assert len(set(names[5:15])) == 10 and all(name.isdigit() for name in names[5:15])
    shown = [data.sample(epoch, 15 + k).name for epoch in range(5) for k in range(3)]
    assert all(sorted(shown[turn * 5 : turn * 5 + 5]) == [f"{k}.png" for k in range(5)] for turn in range(3))
    fresh = [{data.sample(epoch, 5 + k).name for k in range(10)} for epoch in range(2)]
    assert not fresh[0] & fresh[1]
    assert [data.sample(1, k).name for k in range(18)] == [training_set(config).sample(1, k).name for k in range(18)]


def test_a_resolved_configuration_reads_as_the_list_did(tmp_path, own):
    config = load_config(written(tmp_path, [own, RENDERED], own))
    assert DataSets.model_validate(config.data.model_dump()) == config.data
    alone = load_config(written(tmp_path, [own], own))
    assert alone.data.train == config.data.train and alone.data.others == ()


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"input_size": [96, 96]}, "all sources of train must have the same input_size"),
        ({"wieght": 2}, "data.train.1.wieght: unknown key; did you mean 'weight'?"),  # codespell:ignore wieght
        ({"weight": 0}, "data.train.1.weight: input should be greater than 0"),
        ({"pipeline": {"copy_paste": 0.5}}, "data.train.1.pipeline.copy_paste: expected 0 for rendered images"),
    ],
)
def test_what_a_list_of_sources_may_not_say(tmp_path, own, change, expected):
    with pytest.raises(ConfigError) as raised:
        load_config(written(tmp_path, [own, {**RENDERED, **change}], own))
    assert expected in str(raised.value)


def test_a_missing_path_of_a_further_source_is_named(tmp_path, own):
    config = load_config(written(tmp_path, [RENDERED, {**own, "img_path": str(tmp_path / "none")}], own))
    with pytest.raises(ConfigError, match=r"data\.train\.1\.img_path: expected an existing path"):
        check_paths(config, "c.yaml")
