"""The published four-point system for benchmark/latency.py: its network, then its Python post-processing.

It runs in a process of its own, as its users have it. That matters: it takes and returns many megabytes for every
image, and what that costs depends on what else the process has done (14 ms in the benchmark's own process, 22 here).
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
import onnxruntime

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from nanodet_kp_core.classes import ARMOR_CLASSES
from nanodet_kp_core.layout import HeadLayout
from nanodet_kp_core.runtime.models.session import session_options

CONFIG = Path(__file__).resolve().parent.parent / "config" / "nanodet_plus_m_four.yaml"
LAYOUT = HeadLayout(ARMOR_CLASSES, "joint", 7, "unsigned")
STRIDES, SIZE = (8, 16, 32, 64), (416, 416)
PLATES = (1, 10, 60)
TO_IMAGE = np.array([[1280 / 416, 0, 0], [0, 1280 / 416, -128], [0, 0, 1]])
"""From the input to an image of 1280x1024."""


class PublishedSystem:
    """Calls of the other process.

    Attributes:
        times: milliseconds of the last call: "network", and "postprocess_N" for N plates in its output.
    """

    def __init__(self, threads: int, clock: str) -> None:
        command = [sys.executable, __file__, str(threads), clock]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.times: dict[str, float] = {}

    def __call__(self) -> None:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        self.times = json.loads(self._process.stdout.readline())

    def close(self) -> None:
        """End the process."""
        self._process.communicate()


def _network(threads: int) -> onnxruntime.InferenceSession:
    """The published configuration with fresh weights."""
    import torch

    from nanodet_kp_core.config import load_config
    from nanodet_kp_core.export.onnx_file import OPSET
    from nanodet_kp_core.model.build import build_detector

    torch.set_num_threads(threads)
    config = load_config(CONFIG)
    model = build_detector(config.model.arch, config.class_names, pretrained=False).eval().drop_aux()
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path = Path(folder) / "published.onnx"
        torch.onnx.export(model, (torch.zeros(1, 3, *SIZE[::-1]),), str(path), opset_version=OPSET, dynamo=False)
        return onnxruntime.InferenceSession(str(path), session_options(threads), providers=["CPUExecutionProvider"])


def _serve(threads: int, clock: str) -> None:
    from published_postprocess import published_postprocess
    from realistic_output import realistic_output

    now = {"wall": time.perf_counter, "cpu": time.process_time}[clock]
    session = _network(threads)
    image = np.full((1, 3, *SIZE[::-1]), 0.1, np.float32)
    outputs = {plates: realistic_output(LAYOUT, SIZE, STRIDES, plates) for plates in PLATES}
    name = session.get_inputs()[0].name
    for _ in sys.stdin:
        start = now()
        session.run(None, {name: image})
        times = {"network": 1000 * (now() - start)}
        for plates, output in outputs.items():
            start = now()
            published_postprocess(output, LAYOUT, SIZE, STRIDES, TO_IMAGE)
            times[f"postprocess_{plates}"] = 1000 * (now() - start)
        print(json.dumps(times), flush=True)


if __name__ == "__main__":
    _serve(int(sys.argv[1]), sys.argv[2])
