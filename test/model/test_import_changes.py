"""What becomes of an imported checkpoint: its configuration, other classes, other corners, the file, the script."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from forked import run_forked

sys.path.insert(0, str(Path(__file__).parent))
from published import NAMES, arch, first_nanodet, save_ckpt, save_pth, tensors

from nanodet_kp_core.checkpoint import load_weights
from nanodet_kp_core.classes import ARMOR_CLASSES
from nanodet_kp_core.config import load_config
from nanodet_kp_core.errors import ConfigError
from nanodet_kp_core.export.onnx_file import export_onnx, load_model
from nanodet_kp_core.geometry import BOX_CORNERS
from nanodet_kp_core.importer.configs import ImportOptions
from nanodet_kp_core.importer.import_weights import Imported, import_weights, save_imported
from nanodet_kp_core.model.build import build_detector
from nanodet_kp_core.model.codec import HeadCodec
from nanodet_kp_core.runtime.detection.detector import Detector

SCRIPT = Path(__file__).resolve().parents[2] / "training" / "import_weights.py"
NEW_NAMES = ("R_1", "R_2", "B_2")
IMAGES = torch.randn(2, 3, 64, 96, generator=torch.Generator().manual_seed(5))


def checkpoint(folder: Path, sections: dict, seed: int = 0) -> Path:
    return save_pth(folder / "best.pth", tensors(sections, seed))


def imported(path: Path, **options) -> Imported:
    return import_weights(path, ImportOptions(class_names=NAMES, **options))


@torch.no_grad()
def outputs(result: Imported) -> tuple[HeadCodec, torch.Tensor, torch.Tensor, torch.Tensor | None]:
    """Codec, priors, and the raw output of head and auxiliary head."""
    model = build_detector(result.config.model.arch, result.config.class_names).eval()
    model.load_state_dict(result.state)
    raw, aux = model(IMAGES, return_aux=True)
    return HeadCodec(model.layout), model.priors(*IMAGES.shape[-2:]), raw, aux


def test_unchanged_import_is_the_checkpoint(tmp_path):
    sections = arch("unsigned")
    result = imported(checkpoint(tmp_path, sections))
    state = tensors(sections)
    assert result.state.keys() == state.keys()
    assert all(torch.equal(result.state[name], value) for name, value in state.items())
    assert result.config.layout.corner_codec == "unsigned"
    assert result.config.data.val.keep_ratio is False


@pytest.mark.parametrize("sections", [arch("unsigned"), arch("none"), first_nanodet(True), first_nanodet(False)])
def test_classes_go_by_name_and_the_rest_stays(tmp_path, sections):
    path = checkpoint(tmp_path, sections)
    before, after = imported(path), imported(path, new_classes=NEW_NAMES)
    assert after.config.class_names == NEW_NAMES
    for old, new in zip(outputs(before)[2:], outputs(after)[2:], strict=True):
        if old is None:
            assert new is None
            continue
        np.testing.assert_allclose(new[..., 3:], old[..., 3:], atol=1e-5)
        np.testing.assert_allclose(new[..., 0], old[..., NAMES.index("R_1")], atol=1e-5)
        np.testing.assert_allclose(new[..., 2], old[..., NAMES.index("B_2")], atol=1e-5)
        fresh = new[..., 1].sigmoid()  # rows drawn with deviation 0.01 around a bias of one percent
        assert float(fresh.min()) > 0.005 and float(fresh.max()) < 0.02


def test_fresh_rows_are_reproducible(tmp_path):
    path = checkpoint(tmp_path, arch())
    first, second = (imported(path, new_classes=("a", "b")).state for _ in range(2))
    assert all(torch.equal(value, second[name]) for name, value in first.items())


@pytest.mark.parametrize("codec", ["signed", "unsigned"])
@pytest.mark.parametrize("sections", [arch("none"), first_nanodet(True), first_nanodet(False)])
def test_added_corners_start_as_those_of_the_box(tmp_path, sections, codec):
    path = checkpoint(tmp_path, sections)
    codec_before, priors, *before = outputs(imported(path))
    codec_after, _, *after = outputs(imported(path, corners=codec))
    assert codec_after.layout.corner_codec == codec
    for old, new in zip(before, after, strict=True):
        if old is None:
            continue
        boxes = codec_before.decode(old, priors).boxes
        decoded = codec_after.decode(new, priors)
        np.testing.assert_allclose(decoded.boxes, boxes, atol=1e-3)
        np.testing.assert_allclose(decoded.corners, boxes[..., list(BOX_CORNERS)], atol=0.02)


def test_unsigned_corners_become_signed_at_the_same_place(tmp_path):
    path = checkpoint(tmp_path, arch("unsigned"))
    codec_before, priors, *before = outputs(imported(path))
    codec_after, _, *after = outputs(imported(path, corners="signed"))
    assert codec_after.layout.corner_codec == "signed"
    for old, new in zip(before, after, strict=True):
        expected, decoded = codec_before.decode(old, priors), codec_after.decode(new, priors)
        np.testing.assert_allclose(decoded.boxes, expected.boxes, atol=1e-3)
        np.testing.assert_allclose(decoded.corners, expected.corners, atol=0.02)
        assert float((expected.corners - priors[..., :2].repeat(1, 4)).abs().max()) > 20  # the corners are somewhere


def test_corners_can_be_left_out(tmp_path):
    path = checkpoint(tmp_path, arch("unsigned"))
    _, _, raw, aux = outputs(imported(path))
    codec, _, new_raw, new_aux = outputs(imported(path, corners="none"))
    assert not codec.layout.has_corners
    boxes = slice(0, codec.layout.num_channels)
    np.testing.assert_allclose(new_raw, raw[..., boxes], atol=1e-5)
    np.testing.assert_allclose(new_aux, aux[..., boxes], atol=1e-5)


def their_yaml(folder: Path, sections: dict, name: str = "theirs.yml", **data) -> Path:
    """A configuration in the schema of the published guide."""
    keys = ("num_classes", "input_channel", "feat_channels", "stacked_convs", "kernel_size", "strides", "activation",
            "reg_max", "name", "share_cls_reg")  # fmt: skip
    head = {key: value for key, value in sections["head"].items() if key in keys}
    part = {"name": "CocoDataset", "img_path": "nowhere", "ann_path": "nowhere.json", "input_size": [128, 96],
            "keep_ratio": True, "pipeline": {"normalize": [[127.0] * 3, [128.0] * 3]}, **data}  # fmt: skip
    raw = {"save_dir": "workspace/x", "model": {"arch": sections | {"head": head}}, "class_names": list(NAMES),
           "data": {"train": part, "val": part}}  # fmt: skip
    path = folder / name
    path.write_text(yaml.safe_dump(raw))
    return path


def test_their_configuration_tells_what_tensors_do_not(tmp_path):
    sections = arch("unsigned", head={"activation": "ReLU6"})
    config = load_config(their_yaml(tmp_path, sections))
    result = import_weights(checkpoint(tmp_path, sections), ImportOptions(config=config))
    assert result.config.class_names == NAMES
    assert result.config.model.arch.head.activation == "ReLU6"
    assert result.config.layout.corner_codec == "unsigned"
    assert result.config.data.val.input_size == (128, 96)
    assert result.config.data.val.keep_ratio is True
    assert result.config.data.train.pipeline.normalize[0] == (127.0, 127.0, 127.0)
    plain = import_weights(checkpoint(tmp_path, sections), ImportOptions(config=config, keep_ratio=False))
    assert plain.config.data.val.keep_ratio is False


def test_their_configuration_gives_way_to_the_tensors(tmp_path):
    """It repeats the old class names, and has an auxiliary head that a slim checkpoint lacks."""
    config = load_config(their_yaml(tmp_path, arch("unsigned"), class_names=list(NAMES)))
    path = checkpoint(tmp_path, arch("unsigned", aux=False))
    result = import_weights(path, ImportOptions(config=config, new_classes=NEW_NAMES))
    assert result.config.model.arch.aux_head is None
    assert result.config.data.train.class_names in (None, NEW_NAMES)


def test_a_configuration_of_another_network_is_an_error(tmp_path):
    config = load_config(their_yaml(tmp_path, arch("unsigned", head={"stacked_convs": 3})))
    with pytest.raises(ConfigError, match=r"head\.stacked_convs: expected 2"):
        import_weights(checkpoint(tmp_path, arch("unsigned")), ImportOptions(config=config))


def test_target_configuration_takes_the_weights(tmp_path):
    """Other names, factored classes, signed corners, another kind of auxiliary head: the rest is carried over."""
    names = [f"{color}_{number}" for color in "BR" for number in "12"]
    raw = yaml.safe_load(their_yaml(tmp_path, arch("none")).read_text())
    raw["class_names"] = names
    raw["model"]["arch"]["head"] |= {"num_classes": 4, "class_layout": "factored", "corner_codec": "signed"}
    raw["model"]["arch"]["aux_head"] |= {"num_classes": 4, "own_fpn": False, "input_channel": 16}
    (tmp_path / "ours.yml").write_text(yaml.safe_dump(raw))
    target = load_config(tmp_path / "ours.yml")
    path = checkpoint(tmp_path, arch("none"))
    result = imported(path, target=target)
    assert result.config == target
    assert torch.equal(result.state["backbone.conv1.0.weight"], tensors(arch("none"))["backbone.conv1.0.weight"])
    assert any("auxiliary head: starts fresh" in note for note in result.notes)
    save_imported(tmp_path / "start.pt", result)
    model = build_detector(target.model.arch, target.class_names)
    load_weights(model, tmp_path / "start.pt")
    assert all(torch.equal(value, result.state[name]) for name, value in model.state_dict().items())


def test_target_of_another_size_is_an_error(tmp_path):
    target = load_config(their_yaml(tmp_path, arch("unsigned", backbone={"model_size": "1.0x"})))
    with pytest.raises(ConfigError, match=r"backbone\.model_size: expected 0\.5x"):
        imported(checkpoint(tmp_path, arch("unsigned")), target=target)
    ghost = {"name": "GhostNet", "width_mult": 0.5, "out_stages": [4, 6, 9], "activation": "ReLU"}
    target = load_config(their_yaml(tmp_path, arch("unsigned") | {"backbone": ghost}))
    with pytest.raises(ConfigError, match=r"backbone\.name: expected ShuffleNetV2"):
        imported(checkpoint(tmp_path, arch("unsigned")), target=target)
    with pytest.raises(ConfigError, match="without new_classes and corners"):
        imported(checkpoint(tmp_path, arch("unsigned")), target=target, corners="signed")


def test_class_names(tmp_path):
    path = checkpoint(tmp_path, arch())
    with pytest.raises(ConfigError, match="names for its 3 classes, got none"):
        import_weights(path, ImportOptions())
    with pytest.raises(ConfigError, match="expected 3 class names, as it has outputs, got 2"):
        import_weights(path, ImportOptions(class_names=("a", "b")))
    sections = arch("unsigned", head={"num_classes": 36}, aux_head={"num_classes": 36})
    armor = save_pth(tmp_path / "armor.pth", tensors(sections, names=ARMOR_CLASSES))
    assert import_weights(armor, ImportOptions()).config.class_names == ARMOR_CLASSES


@pytest.mark.parametrize("sections", [arch("unsigned"), first_nanodet()])
def test_result_is_exported_and_runs_in_the_runtime(tmp_path, sections):
    result = imported(checkpoint(tmp_path, sections))
    save_imported(tmp_path / "start.pt", result)
    _, config, run_id = load_model(tmp_path / "start.pt")
    assert config == result.config
    assert run_id.startswith("import-")
    image = np.random.default_rng(0).integers(0, 255, (90, 120, 3), np.uint8)
    metadata, _ = export_onnx(tmp_path / "start.pt", tmp_path / "model.onnx", (96, 64), [image])
    assert metadata.head.corner_codec == sections["head"]["corner_codec"]
    assert metadata.input.resize == ("letterbox" if sections["fpn"]["name"] == "PAN" else "stretch")
    detections = Detector(tmp_path / "model.onnx", score_threshold=0.05)(image)
    assert len(detections.labels) > 0  # random weights see something everywhere


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return run_forked([SCRIPT, *arguments], cwd=SCRIPT.parent)


def test_script(tmp_path):
    path = save_ckpt(tmp_path / "last.ckpt", tensors(arch("none"), 1), tensors(arch("none"), 2))
    (tmp_path / "names.txt").write_text("\n".join(NAMES) + "\n")
    out = tmp_path / "out" / "start.pt"
    done = run(path, out, "--classes", tmp_path / "names.txt", "--new-classes", "B_1, G", "--corners", "signed")
    assert done.returncode == 0, done.stderr
    for told in ("ShuffleNetV2 0.5x", "3 classes, boxes only", "avg_model", "1 of 2 kept by name; fresh: G",
                 "none -> signed", "parameters: "):  # fmt: skip
        assert told in done.stdout
    config = load_config(out.with_suffix(".yaml"))
    assert config.class_names == ("B_1", "G")
    assert str(config.schedule.load_model) == str(out)
    failed = run(tmp_path / "names.txt", out)
    assert failed.returncode == 2
    assert failed.stderr.startswith("error: ") and failed.stderr.count("\n") == 1
