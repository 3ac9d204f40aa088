"""What a file is that was given as a model and is none of ours, so that the message can say the way out."""

from __future__ import annotations

_EXPORT = "export it with `nanodet-kp export CHECKPOINT OUT.onnx`"
_OURS = "this package runs the ONNX files of nanodet-kp export"
_PICKLES = tuple(bytes([0x80, version]) for version in range(2, 6))


def foreign_kind(data: bytes) -> str | None:
    """What the bytes are, and what to do; None when nothing tells.

    To be asked only of what cannot be read as ONNX: some of the marks may stand in one.
    """
    head = data[:512]
    start = head.lstrip()[:64].lower()
    if not data:
        return "an empty file; copy or download it again"
    if head.startswith(b"version https://git-lfs"):
        return "a Git LFS pointer, which stands for the file itself; run `git lfs pull`"
    if head.startswith(b"PK\x03\x04"):
        torch = b"data.pkl" in data[:4096] or b"data.pkl" in data[-65536:]
        return f"a checkpoint of torch; {_EXPORT}" if torch else "an archive; unpack it"
    if head.startswith(_PICKLES):
        return f"a pickle, as older checkpoints of torch are; {_EXPORT}"
    if start.startswith((b"<!doctype html", b"<html")):
        return "a web page instead of the file; download the file itself"
    if start.startswith((b"<?xml", b"<net")):
        return f"a model of OpenVINO; {_OURS}"
    kinds = (kind for place, magic, kind in _MAGIC if head[place : place + len(magic)] == magic)
    return next((f"{kind}; {_OURS}" for kind in kinds), None)


_MAGIC = (
    (0, b"\x89HDF\r\n", "a model of Keras (HDF5)"),
    (4, b"TFL3", "a model of TensorFlow Lite"),
    (4, b"ORTM", "a model in onnxruntime's own format"),
    (0, b"7767517", "a model of ncnn"),
    (0, b"RKNN", "a model of RKNN"),
    (0, b"ftrt", "an engine of TensorRT"),
    (0, b"ptrt", "an engine of TensorRT"),
    (0, b"GGUF", "a language model (GGUF)"),
    (8, b'{"', "weights in safetensors"),
    (0, b"\x1f\x8b", "a compressed file (gzip); unpack it"),
    (0, b"\x89PNG", "an image"),
    (0, b"\xff\xd8\xff", "an image"),
)
