"""Every system, exported: onnxruntime agrees with torch, and the robot's detector runs the file; the same plates from
graphs that decode, that take a batch, that normalise.
"""

import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from overfit import shrink
from tiny_model import tiny_metadata

from nanodet_kp_core.checkpoint import save_checkpoint
from nanodet_kp_core.config import load_config
from nanodet_kp_core.errors import ConfigError, ModelError
from nanodet_kp_core.evaluate.torch_detector import torch_detector
from nanodet_kp_core.export import decoded, onnx_file
from nanodet_kp_core.export.onnx_file import (
    IR_VERSION,
    OPSET,
    decoded_difference,
    export_onnx,
    load_model,
    shift_scores,
)
from nanodet_kp_core.model.build import build_detector
from nanodet_kp_core.model.codec import HeadCodec
from nanodet_kp_core.runtime.detection.decode import decode
from nanodet_kp_core.runtime.detection.detector import Detector
from nanodet_kp_core.runtime.models.metadata import METADATA_KEY, OutputSpec
from nanodet_kp_core.runtime.models.session import load_session

CONFIG = Path(__file__).resolve().parents[2] / "config"
SYSTEMS = (
    "nanodet_plus_m_four", "nanodet_plus_four", "nanodet_plus_m", "nanodet_m", "rtmdet_four", "ghostnet_four",
    "armor_s",
)  # fmt: skip
SIZE = (96, 64)


def make_lively(model: torch.nn.Module) -> None:
    """Outputs that differ from prior to prior: fresh ones are all the same."""
    for name, part in model.named_modules():
        if isinstance(part, torch.nn.Conv2d) and name.startswith("head."):
            torch.nn.init.xavier_normal_(part.weight)
            if part.bias is not None:
                torch.nn.init.zeros_(part.bias)
        if isinstance(part, torch.nn.BatchNorm2d):
            part.momentum = None  # the statistics become those of the batch below
    with torch.no_grad():
        model.train()(torch.randn(4, 3, 128, 128))


@pytest.mark.parametrize("system", SYSTEMS)
def test_exported_file_finds_what_torch_finds(system, tmp_path):
    torch.manual_seed(3)
    config = shrink(load_config(CONFIG / f"{system}.yaml"))
    model = build_detector(config.model.arch, config.class_names)
    make_lively(model)
    checkpoint = tmp_path / "last.pt"
    state = {"average": model.state_dict(), "config": config.model_dump_json(), "run_id": "run"}
    save_checkpoint(checkpoint, state)
    images = list(np.random.default_rng(0).integers(0, 256, (2, SIZE[1], SIZE[0], 3), np.uint8))
    metadata, _ = export_onnx(checkpoint, tmp_path / "m.onnx", SIZE, images)
    assert metadata.head == config.layout

    proto = onnx.load(str(tmp_path / "m.onnx"))
    assert (proto.ir_version, proto.opset_import[0].version) == (IR_VERSION, OPSET)
    entry = onnxruntime.InferenceSession(str(tmp_path / "m.onnx")).get_modelmeta().custom_metadata_map[METADATA_KEY]
    assert metadata.to_json() == entry

    loaded, again, _ = load_model(checkpoint)
    by_torch = torch_detector(loaded, again, SIZE, torch.device("cpu"), 0.5)
    by_onnx = Detector(tmp_path / "m.onnx", threads=1, score_threshold=0.5)
    for image in images:
        first, second = by_torch(image), by_onnx(image)
        assert len(first) == len(second) > 3
        assert first.labels == second.labels
        np.testing.assert_allclose(first.boxes, second.boxes, atol=0.01)
        np.testing.assert_allclose(first.corners, second.corners, atol=0.01)
        low, high = second.corners.min(axis=1), second.corners.max(axis=1)
        is_box = np.allclose(np.concatenate([low, high], axis=1), second.boxes, atol=1e-4)
        assert is_box == (system == "nanodet_plus_m")  # box-only: the corners are those of the box


IMAGES = list(np.random.default_rng(0).integers(0, 256, (3, SIZE[1], SIZE[0], 3), np.uint8))


def _checkpoint(folder, system="armor_s", normalize=None):
    torch.manual_seed(3)
    config = shrink(load_config(CONFIG / f"{system}.yaml"))
    if normalize is not None:
        config.data.train.pipeline.normalize = normalize
    model = build_detector(config.model.arch, config.class_names)
    make_lively(model)
    state = {"average": model.state_dict(), "config": config.model_dump_json(), "run_id": "run"}
    save_checkpoint(folder / "last.pt", state)
    return folder / "last.pt"


def _same(first, second):
    assert first.labels == second.labels
    np.testing.assert_allclose(first.scores, second.scores, atol=1e-5)
    np.testing.assert_allclose(first.boxes, second.boxes, rtol=1e-4, atol=0.01)
    np.testing.assert_allclose(first.corners, second.corners, rtol=1e-4, atol=0.01)


def _by_torch(checkpoint):
    model, config, _ = load_model(checkpoint)
    return torch_detector(model, config, SIZE, torch.device("cpu"), 0.5)


@pytest.fixture
def room_for_all(monkeypatch):
    """A row for every prior of SIZE, so that raw and decoded outputs have the same candidates."""
    for module in (decoded, onnx_file):
        monkeypatch.setattr(module, "ROWS_PER_LEVEL", SIZE[0] // 8 * (SIZE[1] // 8))


@pytest.mark.usefixtures("room_for_all")
@pytest.mark.parametrize("system", ["armor_s", "ghostnet_four", "nanodet_plus_m_four", "nanodet_m", "rtmdet_four"])
def test_a_decoding_graph_gives_the_plates_of_the_raw_output(system, tmp_path):
    checkpoint = _checkpoint(tmp_path, system)
    metadata, _ = export_onnx(checkpoint, tmp_path / "m.onnx", SIZE, IMAGES[:1], decoded=True)
    assert metadata.output == OutputSpec("output", "NKD", "sigmoid", metadata.num_priors)
    wanted, found = _by_torch(checkpoint), Detector(tmp_path / "m.onnx", threads=1)
    for image in IMAGES:
        assert len(wanted(image)) > 3
        _same(found(image), wanted(image))


def test_where_the_room_is_small_the_best_places_come_first(tmp_path, monkeypatch):
    """With 12 rows a level the highest scores are there, and neighbors of a better one make room for others."""
    monkeypatch.setattr(decoded, "ROWS_PER_LEVEL", 12)
    monkeypatch.setattr(onnx_file, "ROWS_PER_LEVEL", 12)
    checkpoint = _checkpoint(tmp_path, normalize=((0, 0, 0), (64, 64, 64)))
    metadata, _ = export_onnx(checkpoint, tmp_path / "m.onnx", (160, 96), IMAGES, decoded=True)
    assert metadata.output.rows == 12 + 12 + 12
    blob = np.random.default_rng(1).integers(0, 256, metadata.input_shape, np.uint8)
    rows = load_session(tmp_path / "m.onnx", 1).run(blob)[0].copy()
    with torch.inference_mode():
        own = load_model(checkpoint)[0](torch.from_numpy(blob) / 64)[0].numpy()
    logits = own[: 12 * 20, : metadata.head.num_scores].max(axis=1).reshape(12, 20)
    padded = np.pad(logits, 1, constant_values=-np.inf)
    around = np.max([padded[y : y + 12, x : x + 20] for y in range(3) for x in range(3)], axis=0)
    rank = logits - decoded.NEIGHBOUR_LOGITS * (logits < around)
    wanted = logits[rank >= np.sort(rank.ravel())[-12]]
    np.testing.assert_allclose(np.sort(rows[:12, 0]), np.sort(1 / (1 + np.exp(-wanted))), atol=1e-4)


def test_a_plate_beside_a_clearer_one_comes_before_the_background(tmp_path):
    """Two plates, next to each other on the map of scores, and more peaks of noise than a level has rows."""
    network = decoded.DecodedNetwork(load_model(_checkpoint(tmp_path))[0])
    score = torch.full((1, 1, 24, 24), -9.0)
    score[..., ::2, ::2] = -3.5  # 3 %, 144 peaks
    score[..., 9, 11:13] = torch.logit(torch.tensor([0.9, 0.3]))
    conv = torch.nn.Conv2d(1, network.model.layout.num_scores, 1)
    torch.nn.init.ones_(conv.weight)
    torch.nn.init.zeros_(conv.bias)
    with torch.no_grad():
        chosen = network._best((score, conv))[0].tolist()
    assert len(chosen) == decoded.ROWS_PER_LEVEL < 144
    assert {9 * 24 + 11, 9 * 24 + 12} <= set(chosen)


@pytest.mark.parametrize("system", ["armor_s", "nanodet_plus_m_four", "nanodet_m", "rtmdet_four"])
def test_the_graph_means_what_the_codec_does_and_never_overflows(system):
    layout = load_config(CONFIG / f"{system}.yaml").layout
    codec, plain = decoded.GraphCodec(layout), HeadCodec(layout)
    spread = 2 if layout.is_direct else 8
    raw = torch.randn(50, layout.num_channels, generator=torch.Generator().manual_seed(0)) * spread
    priors = torch.tensor([[64.0, 32, 8, 8]]).expand(50, 4)
    for values in (raw, raw + 40, raw - 40, torch.full_like(raw, 1e4), torch.full_like(raw, -1e4)):
        found, wanted = codec.points(values[:, layout.num_logits :], codec.places(priors)), plain.decode(values, priors)
        torch.testing.assert_close(found[:, :4], wanted.boxes, rtol=1e-5, atol=1e-3)
        torch.testing.assert_close(found[:, 4:], wanted.corners, rtol=1e-5, atol=1e-3)


def test_a_wrong_row_is_seen():
    rng = np.random.default_rng(0)
    raw = tiny_metadata(160, 96)
    own = rng.normal(-2, 2, raw.output_shape[1:]).astype(np.float32)
    found = decode(own, raw, 0.0)
    columns = (found.scores[:, None], found.class_ids[:, None], found.boxes, found.corners.reshape(-1, 8))
    rows = rng.permutation(np.concatenate(columns, axis=1).astype(np.float32))
    assert decoded_difference(own, rows, raw) < 1e-5
    best = rows[:, 0].argmax()
    rows[best, 7] += 0.1 * max(1, abs(rows[best, 7]))
    assert decoded_difference(own, rows, raw) > onnx_file.TOLERANCE


@pytest.mark.usefixtures("room_for_all")
@pytest.mark.parametrize("in_graph", [False, True])
def test_a_batch_gives_what_single_images_give(in_graph, tmp_path):
    checkpoint = _checkpoint(tmp_path)
    metadata, _ = export_onnx(checkpoint, tmp_path / "two.onnx", SIZE, IMAGES[:1], decoded=in_graph, batch=2)
    assert metadata.input.batch == 2
    single, double = _by_torch(checkpoint), Detector(tmp_path / "two.onnx", threads=1)
    for image, found in zip(IMAGES, double.detect_all(IMAGES), strict=True):
        _same(found, single(image))
    with pytest.raises(ConfigError, match="batch: expected"):
        export_onnx(checkpoint, tmp_path / "none.onnx", SIZE, [], batch=0)


@pytest.mark.parametrize(
    ("normalize", "operators"),
    [
        (((104, 116, 124), (57.375, 57.12, 58.395)), ["DequantizeLinear"]),
        (((103.53, 116.28, 123.675), (57.375, 57.12, 58.395)), ["DequantizeLinear", "Add"]),
    ],
)
def test_pixels_go_in_as_bytes_and_are_normalised_inside(normalize, operators, tmp_path):
    checkpoint = _checkpoint(tmp_path, normalize=normalize)
    metadata, worst = export_onnx(checkpoint, tmp_path / "m.onnx", SIZE, IMAGES)
    assert (metadata.input.dtype, metadata.input.mean) == ("uint8", None)
    assert worst < 5e-4  # also at the border, where the padding stands for the mean
    kinds = [node.op_type for node in onnx.load(str(tmp_path / "m.onnx")).graph.node]
    assert [kind for kind in kinds if kind != "Identity"][: len(operators) + 1] == [*operators, "Conv"]


def test_the_shift_of_the_scores_costs_no_operator(tmp_path):
    checkpoint = _checkpoint(tmp_path, "rtmdet_four")
    plain, shifted = load_model(checkpoint)[0], load_model(checkpoint)[0]
    shift_scores(shifted, SIZE, -0.75)
    image = torch.rand(1, 3, SIZE[1], SIZE[0])
    with torch.inference_mode():
        difference = shifted(image) - plain(image)
    scores = plain.layout.num_scores
    torch.testing.assert_close(difference[..., :scores], torch.full_like(difference[..., :scores], -0.75))
    assert not difference[..., scores:].any()


def test_promise_export_fails_when_onnxruntime_and_torch_disagree(tmp_path, monkeypatch):
    """Here because the graph takes away another mean than torch."""
    taken = onnx_file.take_bytes
    monkeypatch.setattr(onnx_file, "take_bytes", lambda proto, mean, std: taken(proto, tuple(m + 9 for m in mean), std))
    with pytest.raises(ModelError, match=r"expected onnxruntime and torch to agree within .*; nothing was written"):
        export_onnx(_checkpoint(tmp_path), tmp_path / "m.onnx", SIZE, IMAGES)
    assert not (tmp_path / "m.onnx").exists()
