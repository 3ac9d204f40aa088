"""An exported ONNX model in onnxruntime, checked against its own metadata before the first image."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import onnxruntime

from nanodet_kp_core.errors import ConfigError, ModelError, shown
from nanodet_kp_core.paths import FILE, brief, resolved, what_is
from nanodet_kp_core.runtime.models.foreign import foreign_kind
from nanodet_kp_core.runtime.models.metadata import METADATA_KEY, ModelMetadata
from nanodet_kp_core.runtime.models.model_file import check_model, read_model
from nanodet_kp_core.runtime.models.one_file import files_inside

ONNX_TYPES = {"float32": "tensor(float)", "uint8": "tensor(uint8)"}
"""onnxruntime's names of the types that the metadata knows."""

MAX_ENTRY = 1 << 20
"""Characters of a metadata entry; ours have a few thousand, and JSON of lists takes tens of bytes for each."""


@dataclass(frozen=True)
class Session:
    """A loaded model; made by `load_session`. files: those of the second stage that are inside, by name."""

    path: Path
    metadata: ModelMetadata
    session: onnxruntime.InferenceSession
    files: Mapping[str, bytes] = field(default_factory=dict)

    def run(self, blob: np.ndarray) -> np.ndarray:
        """Blob [batch, 3, height, width] in the model's type -> output float32 [batch, rows, columns].

        Raises:
            ModelError: the output is not of the shape that the metadata promises.
        """
        output = self.session.run([self.metadata.output.name], {self.metadata.input.name: blob})[0]
        if output.shape != self.output_shape or output.dtype != np.float32:
            got = f"{output.dtype} {list(output.shape)}"
            raise _misfit(self.path, "output", f"float32 {list(self.output_shape)}", got)
        return output

    @cached_property
    def output_shape(self) -> tuple[int, int, int]:
        """What every run must give."""
        return self.metadata.output_shape


def load_session(path: str | Path, threads: int, spin: bool = False) -> Session:
    """Load a model for the CPU and run it once on a gray image, so that a broken model fails here and not in
    flight.

    Args:
        path: ONNX file made by `nanodet-kp export`.
        threads: threads of onnxruntime, at least 1.
        spin: see session_options.

    Raises:
        ModelError: the file is missing, is no ONNX model that this onnxruntime loads, has no or wrong
            `nanodet_kp` metadata, or its tensors do not fit the metadata.
        ConfigError: threads is not a whole number of at least 1, or above the number of cores with spin.
    """
    path = resolved(path, ModelError)
    session = open_session(path, threads, spin)
    metadata = _read_metadata(path, session)
    _check_tensors(path, session, metadata)
    files = files_inside(session.get_modelmeta().custom_metadata_map, path)
    loaded = Session(path, metadata, session, files)
    _warm_up(loaded)
    return loaded


def session_options(threads: int, spin: bool = False) -> onnxruntime.SessionOptions:
    """Options of onnxruntime for one image at a time: what it does by default, but no spinning between images.

    Measured and left as they are: all graph optimisations (the networks take 1.5 times as long with fewer), its memory
    arena and pattern, bound buffers instead of copied ones (no difference). Denormals as zero is no option here: it
    would belong to the process, not to the session (see runtime/models/denormals.py).

    spin: whether threads that wait for the next operation of a run stay awake. Waking them takes about as long as such
    an operation, so without it a second thread gains little or nothing; with it they keep their cores busy during a
    run. When the run ends they sleep in any case. With more threads than cores they keep each other from working: two
    cores took 19 ms with four such threads where one took 8.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "1" if spin else "0")
    options.add_session_config_entry("session.force_spinning_stop", "1")
    options.add_session_config_entry("session.load_model_format", "ONNX")  # nothing else was looked through
    options.log_severity_level = 3  # errors only: warnings about the graph are nothing a user can act on
    return options


def open_session(
    path: Path, threads: int, spin: bool = False, data: bytes | None = None
) -> onnxruntime.InferenceSession:
    """onnxruntime's session of an ONNX file. Raises ModelError and ConfigError as load_session does.

    data: the file's bytes where it is inside another one; `path` then says where.
    """
    if not isinstance(threads, int) or isinstance(threads, bool) or threads < 1:
        raise ConfigError(f"threads: expected a whole number of at least 1, got {threads!r}")
    if spin and threads > usable_cores():
        raise ConfigError(
            f"threads: expected at most {usable_cores()} with spin, as many as there are cores for this process, "
            f"got {threads}"
        )
    # What was looked through is what is loaded, whatever becomes of the file.
    if data is None:
        found = what_is(path)
        if found != FILE:
            raise ModelError(f"model {brief(path)}: expected an ONNX file, got {found}; check the path")
        data = read_model(path)
    else:
        check_model(data, path)
    try:
        return onnxruntime.InferenceSession(data, session_options(threads, spin), providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's own errors share no base class but Exception
        kind = foreign_kind(data)
        if kind is not None:
            raise ModelError(f"model {path}: expected an ONNX model, got {kind}") from None
        reason = " ".join(str(error).split())
        raise ModelError(
            f"model {path}: expected an ONNX model, got a file that onnxruntime {onnxruntime.__version__} "
            f"cannot load ({reason}); export it again with `nanodet-kp export` or update onnxruntime"
        ) from error


def usable_cores() -> int:
    """Cores that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def read_entry(path: Path, session: onnxruntime.InferenceSession, key: str) -> str:
    """Text of an entry of the model's metadata. Raises ModelError when it is not there, or far too long."""
    text = session.get_modelmeta().custom_metadata_map.get(key)
    if text is None:
        raise ModelError(f"model {path}: expected an ONNX model with a '{key}' metadata entry, got {_without(session)}")
    if len(text) > MAX_ENTRY:
        raise ModelError(
            f"model {path}: expected a '{key}' metadata entry of at most {MAX_ENTRY} characters, got {len(text)}; "
            "export it again with `nanodet-kp export`"
        )
    return text


def _without(session: onnxruntime.InferenceSession) -> str:
    """What an ONNX model without the wanted entry is, and the way out."""
    meta = session.get_modelmeta()
    ours = [key for key in meta.custom_metadata_map if key.startswith(METADATA_KEY)]
    if ours:
        return f"the part of a model that is kept under '{ours[0]}'; name the detector, and leave this file beside it"
    producer = shown(meta.producer_name or "nobody said")
    inputs = ", ".join(f"{tensor.name} {tensor.shape}" for tensor in session.get_inputs()[:3])
    return (
        f"one without: a model of another program (made by {producer}, inputs {shown(inputs)}), whose output nobody "
        "here can read; weights of NanoDet go through `nanodet-kp import-weights`, own ones through "
        "`nanodet-kp export`"
    )


def _read_metadata(path: Path, session: onnxruntime.InferenceSession) -> ModelMetadata:
    text = read_entry(path, session, METADATA_KEY)
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
    _check_tensor(path, "input", inputs[spec.name], ONNX_TYPES[spec.dtype], metadata.input_shape)
    _check_tensor(path, "output", outputs[metadata.output.name], ONNX_TYPES["float32"], metadata.output_shape)


def _check_tensor(path: Path, what: str, tensor: onnxruntime.NodeArg, kind: str, expected: tuple[int, ...]) -> None:
    # A dynamic dimension is a name or None here; what it really is shows in the warm-up run.
    fits = len(tensor.shape) == len(expected) and all(
        got == want or not isinstance(got, int) for got, want in zip(tensor.shape, expected, strict=True)
    )
    if tensor.type != kind or not fits:
        raise _misfit(path, what, f"{kind} {list(expected)}", f"{tensor.type} {tensor.shape}")


def _warm_up(loaded: Session) -> None:
    spec = loaded.metadata.input
    gray = np.full(loaded.metadata.input_shape, spec.pad_value, spec.dtype)
    try:
        output = loaded.run(gray)
    except ModelError:
        raise
    except Exception as error:  # as in open_session
        reason = " ".join(str(error).split())
        raise ModelError(f"model {loaded.path}: fails on a gray image ({reason}); export it again") from error
    if not np.isfinite(output).all():
        raise _misfit(loaded.path, "output", "finite numbers for a gray image", "NaN or infinity")


def _misfit(path: Path, what: str, expected: object, got: object) -> ModelError:
    return ModelError(
        f"model {path}: {what} does not fit its metadata: expected {expected}, got {got}; "
        "export the model again with `nanodet-kp export`"
    )
