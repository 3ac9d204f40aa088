"""The training configuration: every fault is one sentence that names file and key."""

from pathlib import Path

import pytest
import yaml

from nanodet_kp_core.config import load_config
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
        (_set("model", "arch", "head", "stackd_convs", 2), "did you mean 'stacked_convs'"),
        (lambda raw: raw.pop("save_dir"), "save_dir: expected this key, got none$"),
        (_set("schedul", {}), "did you mean 'schedule'"),
        (_set("grad_clip", "much"), "grad_clip: .*valid number.*'much'"),
        (_set("model", "arch", "head", "num_classes", 12), "num_classes: expected 36, .*got 12"),
        (_set("model", "arch", "head", "strides", [8, 16]), "strides: expected 3 strides"),
        (_set("model", "arch", "head", "input_channel", 96), "input_channel: expected 48"),
        (_set("class_names", ["a", "b"]), "'factored' needs class names"),
        (_set("class_names", ["a", "a"]), "expected a list of different names"),
        (_set("data", "train", "input_size", [250, 256]), "multiples of 32"),
        (_set("model", "arch", "backbone", "model_size", "2.0x"), "model_size"),
    ],
)
def test_faults_name_the_key(tmp_path, edit, message):
    path = changed(tmp_path, edit)
    with pytest.raises(ConfigError, match=message) as caught:
        load_config(path)
    assert str(path) in str(caught.value)


def test_missing_and_broken_files(tmp_path):
    with pytest.raises(ConfigError, match="expected a readable YAML file"):
        load_config(tmp_path / "none.yaml")
    (tmp_path / "bad.yaml").write_text("a: [")
    with pytest.raises(ConfigError, match="expected YAML"):
        load_config(tmp_path / "bad.yaml")
    (tmp_path / "list.yaml").write_text("- 1")
    with pytest.raises(ConfigError, match="expected a mapping"):
        load_config(tmp_path / "list.yaml")
