"""A model in one piece: an exported detector that names its second stage, which lies beside it with its bars."""

from __future__ import annotations

import json
from pathlib import Path

import onnx

from nanodet_kp_core.files import write_atomically
from nanodet_kp_core.runtime.models.metadata import METADATA_KEY
from nanodet_kp_core.runtime.models.session import load_session


def name_second_stage(source: Path, target: Path, refiner: str) -> None:
    """Copy an exported model to `target`, with `refiner` as the file name of its second stage.

    Raises ModelError when the source is no model of ours.
    """
    load_session(source, 1)
    proto = onnx.load(source)
    (entry,) = (entry for entry in proto.metadata_props if entry.key == METADATA_KEY)
    entry.value = json.dumps({**json.loads(entry.value), "reader": refiner})
    write_atomically(target, proto.SerializeToString())
