"""The files of a model's second stage: found, copied beside a model, or put inside it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from nanodet_kp_core.errors import ModelError
from nanodet_kp_core.files import write_atomically
from nanodet_kp_core.runtime.detection.detector import Detector
from nanodet_kp_core.runtime.models.metadata import METADATA_KEY
from nanodet_kp_core.runtime.models.model_file import read_model
from nanodet_kp_core.runtime.models.one_file import files_inside, with_files
from nanodet_kp_core.runtime.models.session import open_session
from nanodet_kp_core.runtime.refinement.refiner import Refiner


def second_stage(source: Path) -> tuple[Refiner, dict[str, bytes]]:
    """A refiner, and the bytes of its file and of the bars that it names, by file name.

    source: the refiner's file, or that of a detector that names one, beside it or inside.
    Raises ModelError when there is no refiner, or a file is missing or is no second stage.
    """
    entries = open_session(source, 1).get_modelmeta().custom_metadata_map
    refiner = Detector(source).refiner if METADATA_KEY in entries else Refiner(source)
    if refiner is None:
        raise ModelError(f"model {source}: expected a second stage, or a model that names one, got a model without")
    inside = files_inside(entries, source)
    paths = [refiner.path, *((refiner.bars.path,) if refiner.bars else ())]
    return refiner, {path.name: inside.get(path.name) or read_model(path) for path in paths}


def write_beside(model: Path, files: Mapping[str, bytes]) -> None:
    """Write the files of a second stage into the model's folder."""
    for name, data in files.items():
        write_atomically(model.parent / name, data)


def joined(model: Path) -> bytes:
    """The model with its second stage inside; as it is where that is inside already, or none is named.

    Raises ModelError when it is no model, or its second stage is missing.
    """
    data = read_model(model)
    if Detector(model).refiner is None:
        return data
    _, files = second_stage(model)
    inside = files_inside(open_session(model, 1).get_modelmeta().custom_metadata_map, model)
    return with_files(data, {name: part for name, part in files.items() if name not in inside})
