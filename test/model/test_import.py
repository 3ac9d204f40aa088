"""Reading published checkpoints: which weights, which architecture, and what is refused."""

import io
import lzma
import pickle
import sys
import types
import zipfile
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))
from published import NAMES, arch, first_nanodet, save_ckpt, save_pth, tensors

from nanodet_kp_core.errors import ConfigError, ModelError, NanodetKpError
from nanodet_kp_core.importer.configs import ImportOptions, valid_arch
from nanodet_kp_core.importer.import_weights import import_weights, load_published
from nanodet_kp_core.importer.recognize import recognize
from nanodet_kp_core.importer.weights_file import read_weights

HERE = Path("a.ckpt")


def equal(ours: dict[str, torch.Tensor], theirs: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(value, theirs[name]) for name, value in ours.items())


def message(error: pytest.ExceptionInfo[NanodetKpError]) -> str:
    """The error's text, which must be one sentence on one line that says what was expected."""
    text = str(error.value)
    assert "\n" not in text
    assert "expected" in text
    return text


@pytest.mark.parametrize(
    "sections",
    [
        arch("none"),
        arch("unsigned"),
        arch("unsigned", backbone={"model_size": "1.5x"}),
        arch("unsigned", head={"kernel_size": 3, "stacked_convs": 1, "reg_max": 5, "feat_channels": 24},
             aux_head={"reg_max": 5, "stacked_convs": 3, "feat_channels": 64}),
        arch("unsigned", fpn={"num_extra_level": 2, "use_depthwise": False, "kernel_size": 3},
             head={"strides": [8, 16, 32, 64, 128]}, aux_head={"strides": [8, 16, 32, 64, 128]}),
        arch("none", backbone={"out_stages": [2, 3]}, fpn={"num_extra_level": 0}, head={"strides": [8, 16]},
             aux_head={"strides": [8, 16]}),
        arch("unsigned") | {"backbone": {"name": "GhostNet", "width_mult": 0.5, "out_stages": [4, 6, 9],
                                         "activation": "ReLU"}},
        first_nanodet(shared=True),
        first_nanodet(shared=False),
    ],
)  # fmt: skip
def test_architecture_is_read_off_the_tensors(sections):
    state = tensors(sections)
    found = recognize(state, HERE)
    assert found.arch == sections
    assert found.num_classes == len(NAMES)
    assert equal(load_published(state, HERE).state_dict(), state)


def test_average_is_preferred_and_model_can_be_chosen(tmp_path):
    model, average = (tensors(arch(), seed) for seed in (1, 2))
    path = save_ckpt(tmp_path / "last.ckpt", model, average)
    for choice, expected in (("average", average), ("model", model)):
        weights = read_weights(path, choice)
        assert (weights.chosen, weights.available) == (choice, ("average", "model"))
        assert equal(weights.tensors, expected)


@pytest.mark.parametrize("wrap", ["pth", "bare", "data parallel", "model only", "average only"])
def test_every_way_of_saving_gives_the_same_tensors(tmp_path, wrap):
    state, path = tensors(arch()), tmp_path / "some.pth"
    prefix = {"data parallel": "module.", "model only": "model.", "average only": "avg_model."}.get(wrap, "")
    named = {prefix + name: value for name, value in state.items()}
    torch.save(named if wrap == "bare" else {"state_dict": OrderedDict(named), "epoch": 3}, path)
    assert equal(read_weights(path).tensors, state)


def test_half_precision_is_widened(tmp_path):
    state = {name: value.half() if value.is_floating_point() else value for name, value in tensors(arch()).items()}
    read = read_weights(save_pth(tmp_path / "half.pth", state)).tensors
    assert {value.dtype for value in read.values()} == {torch.float32, torch.int64}


def test_model_weights_of_a_file_with_one_set_are_an_error(tmp_path):
    path = save_pth(tmp_path / "best.pth", tensors(arch()))
    with pytest.raises(ModelError) as error:
        read_weights(path, "model")
    assert "one set" in message(error)


class Trap:
    """Unpickled by the usual loader, this would create a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.parametrize("legacy", [False, True])
def test_code_in_a_pickle_is_not_executed(tmp_path, legacy):
    state, mark = tensors(arch()), tmp_path / "executed"
    path = tmp_path / "evil.ckpt"
    torch.save({"state_dict": state, "x": Trap(mark)}, path, _use_new_zipfile_serialization=not legacy)
    with pytest.raises(ModelError) as error:
        read_weights(path)
    assert "execute code" in message(error)
    assert not mark.exists()


def test_code_in_a_plain_pickle_is_not_executed(tmp_path):
    mark, path = tmp_path / "executed", tmp_path / "evil.pth"
    path.write_bytes(pickle.dumps({"state_dict": Trap(mark)}))
    with pytest.raises(ModelError):
        read_weights(path)
    assert not mark.exists()


def lightning_class(monkeypatch: pytest.MonkeyPatch, **members: object) -> type:
    """A class that pickles as one of pytorch-lightning, which is not installed."""
    name = "pytorch_lightning.callbacks.model_checkpoint"
    fake = type("ModelCheckpoint", (), {"__module__": name, **members})
    for part in ("pytorch_lightning", "pytorch_lightning.callbacks", name):
        monkeypatch.setitem(sys.modules, part, types.ModuleType(part))
    sys.modules[name].ModelCheckpoint = fake  # type: ignore[attr-defined]
    return fake


def test_callbacks_named_by_class_do_not_matter(tmp_path, monkeypatch):
    """pytorch-lightning before 1.5 kept the state of its callbacks under their classes."""
    callback, state = lightning_class(monkeypatch), tensors(arch())
    path = save_ckpt(tmp_path / "old.ckpt", state, state, callbacks={callback: {"best_model_score": 0.3}})
    for part in [part for part in sys.modules if part.startswith("pytorch_lightning")]:
        monkeypatch.delitem(sys.modules, part)
    before = set(torch.serialization.get_safe_globals())
    assert equal(read_weights(path).tensors, state)
    assert set(torch.serialization.get_safe_globals()) == before
    assert "pytorch_lightning" not in sys.modules


def test_an_installed_lightning_class_is_not_run_either(tmp_path, monkeypatch):
    mark, state = tmp_path / "executed", tensors(arch())
    callback = lightning_class(monkeypatch, __setstate__=lambda self, _: mark.touch())
    instance = callback()
    instance.value = 1
    read_weights(save_ckpt(tmp_path / "old.ckpt", state, state, callbacks=[instance]))
    assert not mark.exists()


def truncated(path: Path, share: float) -> Path:
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    return path


@pytest.mark.parametrize("share", [0.0, 0.001, 0.5, 0.999])
def test_truncated_file(tmp_path, share):
    path = truncated(save_pth(tmp_path / "cut.pth", tensors(arch())), share)
    with pytest.raises(ModelError) as error:
        read_weights(path)
    assert str(path) in message(error)


@pytest.mark.parametrize(
    "content",
    [b"some text\n", b"\x08\x07\x12\x07pytorch", pickle.dumps([1, 2]), pickle.dumps({"state_dict": {}})],
    ids=["text", "onnx", "list", "empty state"],
)
def test_wrong_file(tmp_path, content):
    path = tmp_path / "wrong.ckpt"
    path.write_bytes(content)
    with pytest.raises(ModelError) as error:
        read_weights(path)
    assert str(path) in message(error)


def test_zip_that_is_no_checkpoint_and_missing_file(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.pth", "w") as archive:
        archive.writestr("readme.txt", "nothing")
    for path in (tmp_path / "a.pth", tmp_path / "missing.pth", tmp_path):
        with pytest.raises(ModelError) as error:
            read_weights(path)
        assert str(path) in message(error)


def test_state_that_holds_no_tensors(tmp_path):
    torch.save({"state_dict": {"backbone": 3}}, tmp_path / "a.pth")
    with pytest.raises(ModelError) as error:
        read_weights(tmp_path / "a.pth")
    assert "int" in message(error)


CONV = "backbone.stage3.1.branch2.0.weight"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda state: state.pop(CONV), CONV),
        (lambda state: state.update({"head.extra.weight": torch.zeros(1)}), "head.extra.weight"),
        (lambda state: state.update({CONV: torch.zeros(3, 3)}), CONV),
        (lambda state: state.update({CONV: state[CONV] * torch.nan}), "NaN"),
        (lambda state: state.update({"head.distribution_project.project": torch.ones(8)}), "bins 0..7"),
        (lambda state: state.pop("head.distribution_project.project"), "distribution_project"),
        (lambda state: state.pop("head.gfl_cls.3.weight"), "head.gfl_cls.3.weight"),
        (lambda state: state.update({"backbone.stage2.0.branch1.2.weight": torch.zeros(30, 24, 1, 1)}), "60 channels"),
        (lambda state: [state.pop(name) for name in list(state) if "gfl_cls.3" in name], "one per level"),
        (lambda state: [state.pop(name) for name in list(state) if name.startswith("fpn")], "fpn.reduce_layers"),
        (lambda state: [state.pop(name) for name in list(state) if "stage2" in name], "ShuffleNetV2 or GhostNet"),
        (lambda state: [state.pop(name) for name in list(state) if "pts" in name], "got them in one"),
    ],
)
def test_tensors_that_do_not_fit(change, told):
    state = tensors(arch("unsigned"))
    change(state)
    with pytest.raises(ModelError) as error:
        load_published(state, HERE)
    assert told in message(error)


def test_missing_batch_counters_are_zero():
    """Some tools leave them out; they serve nothing in inference."""
    state = {name: value for name, value in tensors(arch()).items() if "num_batches" not in name}
    assert equal(state, load_published(state, HERE).state_dict())


def test_size_that_cannot_be_built():
    with pytest.raises(ConfigError) as error:
        valid_arch(arch(fpn={"out_channels": 4}), HERE)
    assert "out_channels" in message(error)


def test_corners_are_ambiguous_without_auxiliary_head(tmp_path):
    """67 channels: three classes with four corners, or 67 classes with boxes only."""
    state = tensors(arch("unsigned", aux=False))
    path = save_pth(tmp_path / "slim.pth", state)
    with pytest.raises(ModelError) as error:
        import_weights(path, ImportOptions())
    assert "67 of them: boxes only; 3: four corners" in message(error)
    assert recognize(state, path, 3).corner_codec == "unsigned"
    assert recognize(state, path, 67).corner_codec == "none"
    with pytest.raises(ModelError):
        recognize(state, path, 5)


def test_recorded_checkpoints_are_told_apart(shared_dir):
    """The whole comparison is test/parity.py; here the cheaper of each pair, through the bytes of a file."""
    for name, codec, classes in (("plain80", "none", 80), ("four36", "unsigned", 36)):
        packed = shared_dir / "golden" / f"ckpt_{name}_best.pth.xz"
        state = torch.load(io.BytesIO(lzma.decompress(packed.read_bytes())), weights_only=True)["state_dict"]
        found = recognize(state, packed)
        assert (found.corner_codec, found.num_classes) == (codec, classes)
        data = np.load(packed.with_name(f"ckpt_{name}_io.npz"))
        images = (torch.from_numpy(data["image_u8"]).float() - 128) / 64
        with torch.no_grad():
            output = load_published(state, packed).eval()(images)
        np.testing.assert_allclose(output, data["out_ema"], atol=1e-3)
