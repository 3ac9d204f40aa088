"""Training configurations in the encodings of all editors, with paths as people write them."""

from pathlib import Path

import pytest
import yaml

from nanodet_kp_core.config import check_paths, load_config
from nanodet_kp_core.errors import ConfigError

ROOT = Path(__file__).resolve().parents[2]


def written(path, edit=lambda raw: None, encoding="utf-8", end="\n"):
    """The bundled configuration after `edit`, with a Chinese comment."""
    raw = yaml.safe_load((ROOT / "config/armor_s.yaml").read_text(encoding="utf-8"))
    edit(raw)
    text = "# 训练配置\n" + yaml.safe_dump(raw, allow_unicode=True)
    path.write_bytes(text.replace("\n", end).encode(encoding))
    return path


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "gbk"])
def test_every_encoding_says_the_same(tmp_path, encoding, end):
    path = written(tmp_path / "a.yaml", lambda raw: raw.update(save_dir="runs/模型"), encoding, end)
    assert load_config(path).save_dir == Path("runs/模型")


def test_bytes_that_are_no_text_are_told(tmp_path):
    (tmp_path / "a.yaml").write_bytes(b"save_dir: \xff\xff\n")
    with pytest.raises(ConfigError, match="expected YAML in UTF-8, got bytes that are no text; save it as UTF-8"):
        load_config(tmp_path / "a.yaml")


@pytest.mark.parametrize(
    ("name", "words"),
    [(".", "a folder"), ("none.yaml", "no such file"), ("x" * 300, "file name too long"), ("/dev/null", "a device")],
)
def test_what_is_no_file_is_named(tmp_path, name, words):
    with pytest.raises(ConfigError, match=f"expected a readable YAML file, got {words}"):
        load_config(tmp_path / name)


def test_paths_are_written_out(tmp_path, monkeypatch):
    share = tmp_path / "prefix/share/own_package"
    share.mkdir(parents=True)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AMENT_PREFIX_PATH", str(tmp_path / "prefix"))

    def edit(raw):
        raw["save_dir"] = "~/runs"
        raw["data"]["val"].update(img_path=f"file://{tmp_path}/a%20b", ann_path="package://own_package/labels.json")
        raw["schedule"] |= {"load_model": "~/start.pt", "teacher": "~/teacher.pt"}
        raw["model"]["arch"]["backbone"]["pretrained"] = "~/net.pth"

    config = load_config(written(tmp_path / "a.yaml", edit))
    assert config.save_dir == tmp_path / "runs"
    assert (config.data.val.img_path, config.data.val.ann_path) == (tmp_path / "a b", share / "labels.json")
    assert config.schedule.load_model == tmp_path / "start.pt"
    assert config.schedule.teacher == tmp_path / "teacher.pt"
    assert config.model.arch.backbone.pretrained == tmp_path / "net.pth"
    assert load_config("file://" + str(tmp_path / "a.yaml")) == config


def test_a_package_that_is_not_there_is_a_fault_of_its_key(tmp_path):
    path = written(tmp_path / "a.yaml", lambda raw: raw["data"]["val"].update(img_path="package://no_such/a"))
    with pytest.raises(ConfigError, match=r"a\.yaml: data\.val\.img_path: package://no_such/a: expected an installed"):
        load_config(path)


@pytest.mark.parametrize(
    ("gone", "reason"),
    [
        ("D:\\data\\images", "a path of Windows"),
        ("s3://bucket/images", "a URL"),
        ("x" * 300, "file name too long"),
        ("none", "no such file; relative paths start from the folder of the configuration, or from the working"),
    ],
)
def test_a_path_that_leads_nowhere_is_told_with_its_reason(tmp_path, gone, reason):
    path = written(tmp_path / "a.yaml", lambda raw: raw["data"]["val"].update(img_path=gone, ann_path=str(tmp_path)))
    with pytest.raises(ConfigError, match="img_path: expected an existing path, got .*" + reason):
        check_paths(load_config(path), path)
