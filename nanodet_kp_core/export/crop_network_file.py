"""A trained network of the second stage as an ONNX file, compared with torch before it is written."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnx
import onnxruntime
import torch

from nanodet_kp_core.errors import ModelError
from nanodet_kp_core.export.onnx_file import IR_VERSION, OPSET, TOLERANCE
from nanodet_kp_core.files import write_atomically
from nanodet_kp_core.model.crop_networks import CropNet
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


def shift_refiner(path: Path, offset: float, number_temperature: float | None = None) -> RefinerMetadata:
    """Add `offset` to that in the file of a refiner, and set the temperature where one is given.

    Returns the new metadata. Raises ModelError when the file is no refiner.
    """
    metadata = Refiner(path).metadata
    temperature = metadata.number_temperature if number_temperature is None else round(number_temperature, 4)
    metadata = replace(metadata, offset=round(metadata.offset + offset, 4), number_temperature=temperature)
    proto = onnx.load(path)
    (entry,) = (entry for entry in proto.metadata_props if entry.key == REFINER_KEY)
    entry.value = metadata.to_json()
    write_atomically(path, proto.SerializeToString())
    return metadata


def copy_refiner(source: Path, folder: Path) -> str:
    """Copy a refiner, and the bars that it names, into a model's folder; returns the refiner's file name.

    Raises ModelError when it is none, or its bars are missing.
    """
    refiner = Refiner(source)
    for path in (refiner.path, *((refiner.bars.path,) if refiner.bars else ())):
        write_atomically(folder / path.name, path.read_bytes())
    return refiner.path.name
