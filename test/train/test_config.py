"""The training configuration: every fault is one sentence that names file and key."""

from pathlib import Path

import pytest
import yaml

from nanodet_kp_core.config import check_paths, load_config
from nanodet_kp_core.errors import ConfigError

ROOT = Path(__file__).resolve().parents[2]


def changed(tmp_path, edit):
    """The bundled configuration after `edit`, as a file."""
    raw = yaml.safe_load((ROOT / "config/armor_s.yaml").read_text())
    edit(raw)
    path = tmp_path / "changed.yaml"
    path.write_text(yaml.safe_dump(raw))
    return path


TRAINING = [path for path in sorted((ROOT / "config").glob("*.yaml")) if "save_dir" in path.read_text()]


@pytest.mark.parametrize("path", TRAINING, ids=lambda path: path.name)
def test_shipped_training_configs_load(path):
    config = load_config(path)
    assert config.layout.num_channels == config.layout.corner_slice.stop


HEAD, BACKBONE, TRAIN = ("model", "arch", "head"), ("model", "arch", "backbone"), ("data", "train")


def _set(*keys_and_value):
    *keys, last, value = keys_and_value

    def edit(raw):
        for key in keys:
            raw = raw[key]
        raw[last] = value

    return edit


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (_set(*HEAD, "stackd_convs", 2), "did you mean 'stacked_convs'"),
        (lambda raw: raw.pop("save_dir"), "save_dir: expected this key, got none$"),
        (_set("schedul", {}), "did you mean 'schedule'"),  # codespell:ignore schedul
        (_set("grad_clip", "much"), "grad_clip: .*valid number.*'much'"),
        (_set(*HEAD, "num_classes", 12), "num_classes: expected 36, .*got 12"),
        (_set(*HEAD, "strides", [8, 16]), "strides: expected 3 strides"),
        (_set(*HEAD, "input_channel", 96), "input_channel: expected 48"),
        (_set("class_names", ["a", "a"]), "expected a list of different names"),
        (_set(*TRAIN, "input_size", [250, 256]), "multiples of 32"),
        (_set(*BACKBONE, "activation", "Relu"), r"backbone\.activation: input should be .*'ReLU'.*got 'Relu'"),
        (_set(*BACKBONE, "kernelsize", "1.0x"), r"backbone\.kernelsize: .*did you mean 'kernel_size'"),
        (_set(*HEAD, "name", "YoloHead"), r"head\.name: expected one of 'NanoDetPlusHead'.*'YoloHead'"),
        (_set(*HEAD, "assigner", {"topq": 9}), r"head\.assigner\.topq: .*did you mean 'topk'"),
        (_set(*HEAD, "assigner", {"name": "ATSSAssigner", "iou_factor": 3}), "valid keys here: name, topk"),
        (_set(*HEAD[:2], "aux_head", {"input_channel": 48, "strides": [8, 16, 32]}), "input_channel: expected 96"),
        (_set(*TRAIN, "class_names", ["B_1"]), r"data\.train\.class_names: expected the same names"),
        (_set(*TRAIN, "name", "VocDataset"), r"data\.train\.name: .*XMLDataset.*'VocDataset'"),
        (_set(*TRAIN, "pipeline", "scale", [1.4, 0.6]), "scale: the first number must not be above the second"),
        (_set(*TRAIN, "pipeline", "stretch", [[0, 1], [1, 1]]), "both numbers must be above 0"),
        (_set(*TRAIN, "pipeline", "hue", 90), r"pipeline\.hue: .*less than or equal to 10"),
        (_set("schedule", "optimizer", "lr", 0), r"optimizer\.lr: .*greater than 0"),
        (_set("evaluator", {"save_key": "map"}), r"evaluator\.save_key: .*'mAP'.*got 'map'"),
        (_set("evaluator", {"refiner": "r.onnx", "calibrate": 0.9}), r"evaluator: .*calibrate: expected null beside"),
    ],
)
def test_faults_name_the_key(tmp_path, edit, message):
    path = changed(tmp_path, edit)
    with pytest.raises(ConfigError, match=message) as caught:
        load_config(path)
    assert all(line.startswith(f"{path}: ") for line in str(caught.value).splitlines())


def test_missing_and_broken_files(tmp_path):
    with pytest.raises(ConfigError, match="expected a readable YAML file"):
        load_config(tmp_path / "none.yaml")
    (tmp_path / "bad.yaml").write_text("a: [")
    with pytest.raises(ConfigError, match="expected YAML"):
        load_config(tmp_path / "bad.yaml")
    (tmp_path / "twice.yaml").write_text("save_dir: a\nsave_dir: b\n")
    with pytest.raises(ConfigError, match="got 'save_dir' a second time in line 2"):
        load_config(tmp_path / "twice.yaml")
    (tmp_path / "list.yaml").write_text("- 1")
    with pytest.raises(ConfigError, match="expected a mapping"):
        load_config(tmp_path / "list.yaml")


def test_aliases_that_explode(tmp_path):
    """Nine lines of aliases stand for a billion values."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{k}: &a{k} [{', '.join([f'*a{k - 1}'] * 10)}]" for k in range(1, 9)]
    path = tmp_path / "bomb.yaml"
    path.write_text("\n".join(lines))
    with pytest.raises(ConfigError, match="expected at most 100000 values"):
        load_config(path)
    path.write_text("save_dir: &a [*a]")
    with pytest.raises(ConfigError, match=r"expected (YAML|at most)"):
        load_config(path)


RENDERED = {"name": "SyntheticDataset", "pictures": 100}


@pytest.mark.parametrize(
    ("section", "names", "message"),
    [
        ({**RENDERED, "picture": 1}, None, r"data\.train\.picture: unknown key; did you mean 'pictures'"),
        ({**RENDERED, "img_path": "x"}, None, r"data\.train\.img_path: unknown key"),
        ({"name": "SyntheticDataset"}, None, r"data\.train\.pictures: expected this key, got none"),
        ({**RENDERED, "plate_px": [90, 9]}, None, r"data\.train\.plate_px: the first number must not be above"),
        ({**RENDERED, "pipeline": {"copy_paste": 0.5}}, None, r"copy_paste: expected 0 for rendered images"),
        (RENDERED, ["a", "b"], r"class_names: expected the 36 of the rendered plates"),
    ],
)
def test_rendered_training_data(tmp_path, section, names, message):
    def change(values):
        values["data"]["train"] = section
        if names:
            values["class_names"] = names

    with pytest.raises(ConfigError, match=message):
        load_config(changed(tmp_path, change))


def test_rendered_training_data_needs_no_paths(tmp_path):
    val = {"img_path": str(tmp_path), "ann_path": str(tmp_path)}
    path = changed(tmp_path, lambda values: values.update(data={"train": RENDERED, "val": val}))
    config = load_config(path)
    assert config.data.train.pictures == 100
    check_paths(config, path)


def test_paths_that_do_not_exist(tmp_path):
    here, gone = str(tmp_path), str(tmp_path / "none")
    train, val = {"img_path": here, "ann_path": here}, {"img_path": gone, "ann_path": here}
    path = changed(tmp_path, lambda raw: raw.update(data={"train": train, "val": val}))
    config = load_config(path)
    config.schedule.load_model = tmp_path / "start.pt"
    config.schedule.teacher = tmp_path / "teacher.pt"
    with pytest.raises(ConfigError) as caught:
        check_paths(config, path)
    lines = str(caught.value).splitlines()
    assert [line.split(": ")[1] for line in lines] == ["data.val.img_path", "schedule.load_model", "schedule.teacher"]
    assert all(f"expected an existing path, got {tmp_path}/" in line for line in lines)


GUIDE = """
save_dir: workspace/nanodetfp_416
model:
  weight_averager: {name: ExpMovingAverager, decay: 0.9998}
  arch:
    name: NanoDetPlus
    detach_epoch: 10
    backbone: {name: ShuffleNetV2, model_size: 1.0x, out_stages: [2, 3, 4], activation: LeakyReLU}
    fpn: {name: GhostPAN, in_channels: [116, 232, 464], out_channels: 96, kernel_size: 5, num_extra_level: 1,
          use_depthwise: True, activation: LeakyReLU}
    head:
      {name: NanoDetPlusHead, num_classes: 2, input_channel: 96, feat_channels: 96, stacked_convs: 2, kernel_size: 5,
       strides: [8, 16, 32, 64], activation: LeakyReLU, reg_max: 7, norm_cfg: {type: BN},
       loss: {loss_qfl: {name: QualityFocalLoss, use_sigmoid: True, beta: 2.0, loss_weight: 1.0},
              loss_dfl: {name: DistributionFocalLoss, loss_weight: 0.25},
              loss_bbox: {name: GIoULoss, loss_weight: 2.0}}}
    aux_head: {name: SimpleConvHead, num_classes: 2, input_channel: 192, feat_channels: 192, stacked_convs: 4,
               strides: [8, 16, 32, 64], activation: LeakyReLU, reg_max: 7}
class_names: &class_names ['B_1', 'R_1']
data:
  train:
    name: XMLDataset
    class_names: *class_names
    img_path: train/image
    ann_path: train/xml
    input_size: [416, 416]
    keep_ratio: False
    pipeline: {perspective: 0.0, scale: [0.6, 1.4], stretch: [[1, 1], [1, 1]], rotation: 0, shear: 0, translate: 0.2,
               flip: 0.5, brightness: 0.2, contrast: [0.8, 1.2], saturation: [0.8, 1.2],
               normalize: [[103.53, 116.28, 123.675], [57.375, 57.12, 58.395]]}
  val:
    name: XMLDataset
    class_names: *class_names
    img_path: test/image
    ann_path: test/xml
    input_size: [416, 416]
    keep_ratio: False
    pipeline: {normalize: [[103.53, 116.28, 123.675], [57.375, 57.12, 58.395]]}
device: {gpu_ids: [0], workers_per_gpu: 16, batchsize_per_gpu: 32}
schedule:
  resume:
  load_model:
  optimizer: {name: AdamW, lr: 0.001, weight_decay: 0.05}
  warmup: {name: linear, steps: 500, ratio: 0.0001}
  total_epochs: 600
  lr_schedule: {name: CosineAnnealingLR, T_max: 300, eta_min: 0.00005}
  val_intervals: 10
grad_clip: 35
evaluator: {name: CocoDetectionEvaluator, save_key: mAP}
log: {interval: 10}
"""


def test_every_key_of_the_published_guide_is_read(tmp_path):
    path = tmp_path / "guide.yaml"
    path.write_text(GUIDE)
    config = load_config(path)
    assert config.model.arch.head.corner_codec == "signed"
    assert config.data.train.pipeline.flip == 0.5
    assert (config.device.gpu_ids, config.evaluator.save_key) == ([0], "mAP")


def test_bundled_configurations_and_weights_are_found_from_anywhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert load_config("config/own_data.yaml").schedule.load_model == ROOT / "models/armor_s.pt"
    own = tmp_path / "models" / "armor_s.pt"
    own.parent.mkdir()
    own.touch()
    assert load_config("config/own_data.yaml").schedule.load_model == Path("models/armor_s.pt")
