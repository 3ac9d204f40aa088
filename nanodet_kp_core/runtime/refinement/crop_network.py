"""An ONNX network that looks at small images, many at a time: what refiner and bars have in common."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from nanodet_kp_core.errors import ModelError
from nanodet_kp_core.paths import FILE, what_is
from nanodet_kp_core.runtime.models.session import open_session, read_entry

INPUT, OUTPUT = "patches", "values"
"""Names of the tensors."""


class CropNetwork:
    """Network of uint8 crops [N, 3, height, width], BGR -> float32 [N, values]; one thread at a time.

    text: its metadata, the entry `key` of the file; what it means is the user's business.
    data: the file's bytes where it is inside another model; `path` is then below that model.
    Raises ModelError when the file is missing or is no ONNX model with that entry.
    """

    def __init__(self, path: str | Path, key: str, size: tuple[int, int], data: bytes | None = None) -> None:
        self.path = Path(path)
        found = FILE if data is not None else what_is(self.path)
        if found != FILE:
            raise ModelError(
                f"model {self.path}: expected the second stage of the model in the same folder, got {found}; a model "
                f"is several files: copy {self.path.name} there too, from where the model came from, or make one file "
                "of all with `nanodet-kp join MODEL OUT.onnx`"
            )
        self._session = open_session(self.path, threads=1, data=data)  # so small that a second thread is in the way
        self.text = read_entry(self.path, self._session, key)
        self._size = size

    def check(self, num_values: int) -> None:
        """Raises ModelError when the network fails on two crops, or gives another number of values for each."""
        width, height = self._size
        try:
            output = self.run(np.zeros((2, 3, height, width), np.uint8))
        except Exception as error:  # onnxruntime's own errors share no base class but Exception
            reason = " ".join(str(error).split())
            raise ModelError(
                f"model {self.path}: expected a network of uint8 crops of {width}x{height}, got one that fails on "
                f"them ({reason}); export it again"
            ) from None
        if output.shape != (2, num_values):
            raise ModelError(f"model {self.path}: expected {num_values} values a crop, got {output.shape}")

    def __call__(self, crops: np.ndarray, channel_order: str) -> np.ndarray:
        """Values of crops uint8 [N, height, width, 3], or [N, height, width] for the channel order "mono"."""
        if channel_order == "mono":
            blob = np.repeat(crops[:, None], 3, axis=1)
        else:
            bgr = crops[..., ::-1] if channel_order == "rgb" else crops
            blob = np.ascontiguousarray(bgr.transpose(0, 3, 1, 2))
        return self.run(blob)

    def run(self, blob: np.ndarray) -> np.ndarray:
        """Values [N, V] of a blob uint8 [N, 3, height, width], BGR."""
        return np.asarray(self._session.run([OUTPUT], {INPUT: blob})[0])
