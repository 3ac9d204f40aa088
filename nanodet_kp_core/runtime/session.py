"""An exported ONNX model in onnxruntime, checked against its own metadata before the first image."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime

from nanodet_kp_core.errors import ConfigError, ModelError
from nanodet_kp_core.runtime.metadata import METADATA_KEY, ModelMetadata


@dataclass(frozen=True)
class Session:
    """A loaded model; made by `load_session`."""

    path: Path
    metadata: ModelMetadata
    session: onnxruntime.InferenceSession

    def run(self, blob: np.ndarray) -> np.ndarray:
        """Blob float32 [1, 3, height, width] -> raw output float32 [num_priors, channels].

        Raises:
            ModelError: the output is not of the shape that the metadata promises.
        """
        output = self.session.run([self.metadata.output.name], {self.metadata.input.name: blob})[0]
        expected = (1, self.metadata.num_priors, self.metadata.head.num_channels)
        if output.shape != expected or output.dtype != np.float32:
            got = f"{output.dtype} {list(output.shape)}"
            raise _misfit(self.path, "output", f"float32 {list(expected)}", got)
        return output[0]


def load_session(path: str | Path, threads: int) -> Session:
    """Load a model for the CPU and run it once on a grey image, so that a broken model fails here and not in
    flight.

    Args:
        path: ONNX file made by `training/export.py`.
        threads: threads of onnxruntime, at least 1. They sleep between images: spinning would burn whole
            cores.

    Raises:
        ModelError: the file is missing, is no ONNX model that this onnxruntime loads, has no or wrong
            `nanodet_kp` metadata, or its tensors do not fit the metadata.
        ConfigError: threads is not a whole number of at least 1.
    """
    if not isinstance(threads, int) or isinstance(threads, bool) or threads < 1:
        raise ConfigError(f"threads: expected a whole number of at least 1, got {threads!r}")
    path = Path(path)
    if not path.is_file():
        got = "a folder" if path.is_dir() else "no such file"
        raise ModelError(f"model {path}: expected an ONNX file, got {got}; check the path")
    session = _open(path, threads)
    metadata = _read_metadata(path, session)
    _check_tensors(path, session, metadata)
    loaded = Session(path, metadata, session)
    _warm_up(loaded)
    return loaded


def _open(path: Path, threads: int) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3  # errors only: warnings about the graph are nothing a user can act on
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's own errors share no base class but Exception
        reason = " ".join(str(error).split())
        raise ModelError(
            f"model {path}: expected an ONNX model, got a file that onnxruntime {onnxruntime.__version__} "
            f"cannot load ({reason}); export it again with `python training/export.py` or update onnxruntime"
        ) from error


def _read_metadata(path: Path, session: onnxruntime.InferenceSession) -> ModelMetadata:
    text = session.get_modelmeta().custom_metadata_map.get(METADATA_KEY)
    if text is None:
        raise ModelError(
            f"model {path}: expected an ONNX model with a '{METADATA_KEY}' metadata entry, got one without; "
            "export it with `python training/export.py`"
        )
    try:
        return ModelMetadata.from_json(text)
    except ModelError as error:
        raise ModelError(f"model {path}: {error}") from None


def _check_tensors(path: Path, session: onnxruntime.InferenceSession, metadata: ModelMetadata) -> None:
    inputs = {tensor.name: tensor for tensor in session.get_inputs()}
    outputs = {tensor.name: tensor for tensor in session.get_outputs()}
    if list(inputs) != [metadata.input.name]:
        raise _misfit(path, "inputs", [metadata.input.name], list(inputs))
    if metadata.output.name not in outputs:
        raise _misfit(path, "outputs", [metadata.output.name], list(outputs))
    spec = metadata.input
    _check_tensor(path, "input", inputs[spec.name], [1, 3, spec.height, spec.width])
    expected = [1, metadata.num_priors, metadata.head.num_channels]
    _check_tensor(path, "output", outputs[metadata.output.name], expected)


def _check_tensor(path: Path, what: str, tensor: onnxruntime.NodeArg, expected: list[int]) -> None:
    # A dynamic dimension is a name or None here; what it really is shows in the warm-up run.
    fits = len(tensor.shape) == len(expected) and all(
        got == want or not isinstance(got, int) for got, want in zip(tensor.shape, expected, strict=True)
    )
    if tensor.type != "tensor(float)" or not fits:
        raise _misfit(path, what, f"tensor(float) {expected}", f"{tensor.type} {tensor.shape}")


def _warm_up(loaded: Session) -> None:
    spec = loaded.metadata.input
    grey = np.full((1, 3, spec.height, spec.width), spec.pad_value, np.float32)
    try:
        output = loaded.run(grey)
    except ModelError:
        raise
    except Exception as error:  # as in _open
        reason = " ".join(str(error).split())
        raise ModelError(f"model {loaded.path}: fails on a grey image ({reason}); export it again") from error
    if not np.isfinite(output).all():
        raise _misfit(loaded.path, "output", "finite numbers for a grey image", "NaN or infinity")


def _misfit(path: Path, what: str, expected: object, got: object) -> ModelError:
    return ModelError(
        f"model {path}: {what} does not fit its metadata: expected {expected}, got {got}; "
        "export the model again with `python training/export.py`"
    )
