"""A trained network of the second stage as an ONNX file, compared with torch before it is written."""

from __future__ import annotations

import base64
import warnings
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnx
import onnxruntime
import torch

from nanodet_kp_core.errors import ModelError
from nanodet_kp_core.export.onnx_file import IR_VERSION, OPSET, TOLERANCE
from nanodet_kp_core.export.second_stage import second_stage, write_beside
from nanodet_kp_core.files import write_atomically
from nanodet_kp_core.model.crop_networks import CropNet
from nanodet_kp_core.runtime.models.one_file import FILE_KEY
from nanodet_kp_core.runtime.models.session import load_session
from nanodet_kp_core.runtime.refinement.bars import BARS_KEY, BarsMetadata
from nanodet_kp_core.runtime.refinement.crop_network import INPUT, OUTPUT
from nanodet_kp_core.runtime.refinement.refiner import REFINER_KEY, Refiner, RefinerMetadata


def export_crop_network(
    network: CropNet, target: Path, metadata: RefinerMetadata | BarsMetadata, crops: np.ndarray
) -> float:
    """Write `target`; returns the worst difference to torch on `crops` (uint8 [N, height, width, 3]).

    Raises ModelError, and writes nothing, when that is above TOLERANCE.
    """
    images = torch.from_numpy(crops).permute(0, 3, 1, 2).contiguous()
    network = network.eval()
    with TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        raw = Path(folder) / "raw.onnx"
        torch.onnx.export(
            network, (images[:2],), str(raw), input_names=[INPUT], output_names=[OUTPUT], opset_version=OPSET,
            dynamic_axes={INPUT: {0: "patches"}, OUTPUT: {0: "patches"}}, dynamo=False,
        )  # fmt: skip
        proto = onnx.load(str(raw))
    proto.ir_version = IR_VERSION
    entry = proto.metadata_props.add()
    entry.key = REFINER_KEY if isinstance(metadata, RefinerMetadata) else BARS_KEY
    entry.value = metadata.to_json()
    onnx.checker.check_model(proto)
    data = proto.SerializeToString()
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    with torch.inference_mode():
        own = network(images).numpy()
    worst = float(np.abs(own - session.run(None, {INPUT: images.numpy()})[0]).max())
    if not worst <= TOLERANCE:
        raise ModelError(f"{target}: expected onnxruntime and torch to agree within {TOLERANCE}, got {worst:.2g}")
    write_atomically(target, data)
    return worst


def shift_refiner(
    path: Path, offset: float, number_temperature: float | None = None, weights: Mapping[str, float] | None = None
) -> RefinerMetadata:
    """Add `offset` to that in the file of a refiner, and set the temperature where one is given.

    path: of the refiner, also inside a model's file (MODEL/REFINER). weights: other values of RefinerMetadata to set.
    Returns the new metadata. Raises ModelError when the file is no refiner, or for values that are none.
    """
    holder = path.parent if path.parent.is_file() else None
    inside = {} if holder is None else load_session(holder, 1).files
    metadata = Refiner(path, inside).metadata
    temperature = metadata.number_temperature if number_temperature is None else round(number_temperature, 4)
    offset = round(metadata.offset + offset, 4)
    metadata = replace(metadata, offset=offset, number_temperature=temperature, **(weights or {}))  # type: ignore[arg-type]
    proto = onnx.load(path) if holder is None else onnx.load_from_string(inside[path.name])
    _entry(proto, REFINER_KEY).value = metadata.to_json()
    data = proto.SerializeToString()
    if holder is not None:
        model = onnx.load(holder)
        _entry(model, f"{FILE_KEY}{path.name}").value = base64.b64encode(data).decode()
        data = model.SerializeToString()
    write_atomically(holder or path, data)
    return metadata


def _entry(proto: onnx.ModelProto, key: str) -> onnx.StringStringEntryProto:
    (entry,) = (entry for entry in proto.metadata_props if entry.key == key)
    return entry


def copy_refiner(source: Path, folder: Path) -> str:
    """Copy a refiner, and the bars that it names, into a model's folder; returns the refiner's file name.

    Raises as second_stage.
    """
    refiner, files = second_stage(source)
    write_beside(folder / refiner.path.name, files)
    return refiner.path.name
