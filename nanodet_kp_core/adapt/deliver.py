"""A model of two stages in one folder: what the node takes, and the weights for a next adaptation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from nanodet_kp_core.adapt.second_stage import network_of
from nanodet_kp_core.adapt.start import Start
from nanodet_kp_core.checkpoint import save_checkpoint
from nanodet_kp_core.export.assemble import name_second_stage
from nanodet_kp_core.export.crop_network_file import export_crop_network
from nanodet_kp_core.files import write_atomically
from nanodet_kp_core.runtime.refinement.refiner import Refiner, RefinerMetadata

MODEL, SECOND = "model.onnx", "model_refiner.onnx"
"""Names in the folder. The bars keep theirs, since the second stage names them."""


def write_candidate(
    folder: Path, start: Start, detector: Path, weights: dict[str, Tensor], metadata: RefinerMetadata, crops: np.ndarray
) -> Path:
    """A detector with a second stage of these weights and metadata.

    detector: exported model, whose weights are copied with it where they lie beside it. crops: uint8 [N, 40, 64, 3] on
    which torch and onnxruntime are compared. Returns the path of the model.
    """
    export_crop_network(network_of(weights, start.colors, start.numbers), folder / SECOND, metadata, crops)
    state: dict[str, Any] = {"kind": "reader", "step": 0, "average": weights}
    save_checkpoint((folder / SECOND).with_suffix(".pt"), state)
    return _with_detector(folder, start, detector)


def copy_start(folder: Path, start: Start) -> Path:
    """The start under the names of a run's result. Returns the path of the model."""
    write_atomically(folder / SECOND, start.refiner.read_bytes())
    write_atomically((folder / SECOND).with_suffix(".pt"), start.refiner_weights.read_bytes())
    return _with_detector(folder, start, start.model)


def _with_detector(folder: Path, start: Start, detector: Path) -> Path:
    """Puts the start's bars, the detector's weights where they lie beside it, and last the detector into the folder."""
    bars = Refiner(start.refiner).bars
    if bars is not None:
        write_atomically(folder / bars.path.name, bars.path.read_bytes())
    weights = detector.with_suffix(".pt")
    if weights.is_file():
        write_atomically((folder / MODEL).with_suffix(".pt"), weights.read_bytes())
    name_second_stage(detector, folder / MODEL, SECOND)
    return folder / MODEL


def deliver(candidate: Path, out: Path) -> Path:
    """Copy the files beside the model `candidate` into the folder of the run, the model last; returns its path."""
    for path in sorted(candidate.parent.iterdir(), key=lambda path: path.name == MODEL):
        if not path.name.startswith("."):
            write_atomically(out / path.name, path.read_bytes())
    return out / MODEL
