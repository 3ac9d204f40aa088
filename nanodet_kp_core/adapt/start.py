"""The model that an adaptation starts from: an exported detector with its second stage, and the weights beside them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from nanodet_kp_core.classes import ARMOR_CLASSES, COLORS, NUMBERS
from nanodet_kp_core.errors import ModelError
from nanodet_kp_core.runtime.detection.detector import Detector
from nanodet_kp_core.runtime.models.bundled import bundled_model
from nanodet_kp_core.runtime.refinement.refiner import RefinerMetadata


@dataclass(frozen=True)
class Start:
    """model: the ONNX file that is deployed. refiner: that of its second stage. refiner_weights: checkpoint of it.
    detector_weights: checkpoint of the detector, None where none lies beside the model. input_size: (width, height) of
    the model."""

    model: Path
    refiner: Path
    refiner_weights: Path
    detector_weights: Path | None
    class_names: tuple[str, ...]
    refiner_metadata: RefinerMetadata
    input_size: tuple[int, int]

    colors: int = len(COLORS)
    numbers: int = len(NUMBERS)


def load_start(model: Path | None) -> Start:
    """Raises ModelError when the model has no second stage, or the weights of that do not lie beside it."""
    detector = Detector(bundled_model() if model is None else model)
    path, refiner = detector.model_path, detector.refiner
    if refiner is None:
        raise ModelError(f"model {path}: expected one with a second stage, got one without; see docs/second_stage.md")
    if detector.metadata.class_names != ARMOR_CLASSES:
        got = ", ".join(detector.metadata.class_names[:4])
        raise ModelError(f"model {path}: expected the 36 classes of the rendered plates, got {got}, ..")
    refiner_weights, detector_weights = refiner.path.with_suffix(".pt"), path.with_suffix(".pt")
    if not refiner_weights.is_file():
        raise ModelError(
            f"model {path}: expected the weights of its second stage in {refiner_weights}, got no such file; they come "
            "with the model, or from nanodet-kp train-refiner"
        )
    return Start(
        model=path,
        refiner=refiner.path,
        refiner_weights=refiner_weights,
        detector_weights=detector_weights if detector_weights.is_file() else None,
        class_names=detector.metadata.class_names,
        refiner_metadata=refiner.metadata,
        input_size=(detector.metadata.input.width, detector.metadata.input.height),
    )


def rendered_size(input_size: tuple[int, int]) -> tuple[int, int]:
    """Size of rendered images for a model: as much larger than its input as a camera's usually are, 16 by 16 pixels."""
    return tuple(16 * round(1.6 * side / 16) for side in input_size)  # type: ignore[return-value]
