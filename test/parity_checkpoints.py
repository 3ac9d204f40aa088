"""Parity of imported checkpoints: outputs of both sets of weights of a .ckpt, and of the best .pth. See parity.py."""

from __future__ import annotations

import lzma
from pathlib import Path

import numpy as np
import torch
from parity import Checks
from parity_network import read_images

from nanodet_kp_core.errors import NanodetKpError
from nanodet_kp_core.importer.import_weights import load_published
from nanodet_kp_core.importer.weights_file import load_safely, select_weights

TOLERANCE = 1e-3

CKPT, BEST = ".ckpt.xz", "_best.pth.xz"
OUTPUTS = {CKPT: {"average": "out_ema", "model": "out_model"}, BEST: {"average": "out_ema"}}
"""For either kind of file: weights to take -> recorded output."""


@torch.no_grad()
def check_checkpoint(path: Path) -> Checks:
    """One packed checkpoint, with image and outputs in the *_io.npz beside it."""
    ending = next(ending for ending in OUTPUTS if path.name.endswith(ending))
    recorded = path.with_name(f"{path.name.removesuffix(ending)}_io.npz")
    if not recorded.is_file():
        raise OSError(f"{path.name} needs {recorded.name} beside it")
    data, checks = np.load(recorded), Checks()
    images = read_images(data)
    try:
        checkpoint = load_safely(path, lzma.decompress(path.read_bytes()))
        for choice, key in OUTPUTS[ending].items():
            tensors = select_weights(checkpoint, path, choice).tensors
            model = load_published(tensors, path, int(data["num_classes"])).eval()
            checks.near(f"{choice}: output", model(images), data[key], TOLERANCE)
            checks.same(f"{choice}: classes", len(model.layout.class_names), data["num_classes"])
    except (NanodetKpError, lzma.LZMAError) as error:
        raise ValueError(str(error)) from error
    return checks


CHECKERS = {f"ckpt_{name}{ending}": check_checkpoint for name in ("plain80", "four36") for ending in OUTPUTS}

RECORDED = {"ckpt_plain80_io.npz", "ckpt_four36_io.npz"}
"""What the checkers read besides."""
