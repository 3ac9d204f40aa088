"""What benchmark/flood.py asks of the node's services: parameters, right and senseless, models, and the switch."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rcl_interfaces.msg import Parameter as ParameterMessage
from rcl_interfaces.msg import ParameterValue, SetParametersResult
from rcl_interfaces.srv import (
    DescribeParameters,
    GetParameters,
    GetParameterTypes,
    ListParameters,
    SetParameters,
    SetParametersAtomically,
)
from rclpy.parameter import Parameter
from std_srvs.srv import SetBool

from nanodet_kp_core.runtime.models.bundled import bundled_model
from nanodet_kp_ros.parameters import settings_of
from nanodet_kp_ros.settings import NodeSettings

LONG = "x" * 5000
MODELS = ("armor_s.onnx", "armor_m.onnx")
_SWAP_EVERY = 40  # requests
_NAN, _INFINITE = float("nan"), float("inf")

VALUES: tuple[tuple[str, object], ...] = (
    ("score_threshold", 0.3), ("score_threshold", 1), ("score_threshold", 7.5), ("score_threshold", _NAN),
    ("score_threshold", "high"), ("score_threshold", [0.1, 0.2]), ("score_threshold", None), ("nms_threshold", 0.3),
    ("nms_threshold", -_INFINITE), ("number_threshold", True), ("max_detections", 20), ("max_detections", 0),
    ("max_detections", 2**63 - 1), ("max_detections", "many"), ("keep", "R"), ("keep", "B_3, N"), ("keep", ""),
    ("keep", LONG), ("keep", "no such class"), ("keep", ["R", "B"]), ("keep", "\u7ea2\n\x00"), ("threads", 0),
    ("threads", 4096), ("roi_every", -1), ("large_plates", LONG), ("plate_lean", _INFINITE), ("camera_pitch", _NAN),
    ("camera_pitch", 5), ("image_timeout", 2.0), ("image_timeout", 0.0), ("lazy", "yes"), ("debug", 1),
    ("image_qos", "reliable"), ("image_transport", [b"r", b"a"]), ("record_folder", LONG), ("use_sim_time", "maybe"),
    ("no_such_parameter", 1), (LONG, 1), ("", 1), ("a b.c/\u7ea2", 1), ("qos_overrides./image_raw.x", LONG),
)  # fmt: skip


@dataclass(frozen=True)
class Ask:
    """A request to a service. answered: whether rclpy can answer it at all. right: whether it has to be accepted."""

    kind: type
    name: str
    request: object
    answered: bool = True
    right: bool = False


def wrong_models(folder: Path) -> list[str]:
    """Paths that hold no model, in a folder of our own."""
    (folder / "garbage.onnx").write_bytes(b"\x08\x07garbage" * 1000)
    (folder / "empty.onnx").touch()
    (folder / "half.onnx").write_bytes(bundled_model().read_bytes()[:100_000])
    (folder / "loop").symlink_to(folder / "loop")
    (folder / "closed").mkdir()
    (folder / "closed" / "a.onnx").touch()
    (folder / "closed").chmod(0)
    os.mkfifo(folder / "pipe")
    names = ["garbage.onnx", "empty.onnx", "half.onnx", "loop", "closed", "closed/a.onnx", "pipe", "none.onnx", "."]
    others = ["z" * 256, LONG, "/dev/zero", "/dev/null/a", "~no_such_user_at_all/a", "package://none/a", "a\x00b"]
    return [*(str(folder / name) for name in names), *others, str(bundled_model("armor_reader.onnx"))]


def asked(seed: int, folder: Path) -> Iterator[Ask]:
    """Requests without an end."""
    rng = np.random.default_rng(seed)
    wrong = wrong_models(folder)
    makers = [_one, _one, _one, _all_or_none, _many, _looks, _switch, _unknown_type]
    for number in range(2**62):
        if number % _SWAP_EVERY == 0:
            yield _set(("model", str(bundled_model(MODELS[number // _SWAP_EVERY % len(MODELS)]))), right=True)
        elif number % _SWAP_EVERY == _SWAP_EVERY // 2:
            pair = [("threads", 2), ("threads", 1), ("scout", False), ("scout", True)][rng.integers(4)]
            yield _set(pair, right=True)
        elif number % 8 == 3:
            yield _set(("model", wrong[rng.integers(len(wrong))]))
        else:
            yield makers[rng.integers(len(makers))](rng)


def calm() -> Ask:
    """The defaults of all that may be set while the node runs, whatever was set before."""
    return _set(*((setting.name, setting.default) for setting in settings_of(NodeSettings) if setting.live), right=True)


def switch(on: bool) -> Ask:
    return Ask(SetBool, "detector_node/enable", SetBool.Request(data=on))


def results_of(answer: object) -> list[SetParametersResult]:
    """What an answer says of each parameter that was to be set; empty for other answers."""
    if isinstance(answer, SetParameters.Response):
        return list(answer.results)
    return [answer.result] if isinstance(answer, SetParametersAtomically.Response) else []


def _set(*pairs: tuple[str, object], right: bool = False) -> Ask:
    request = SetParameters.Request(parameters=_messages(*pairs))
    return Ask(SetParameters, "detector_node/set_parameters", request, right=right)


def _messages(*pairs: tuple[str, object]) -> list[ParameterMessage]:
    return [
        ParameterMessage(name=name, value=Parameter("any", value=value).to_parameter_msg().value)
        for name, value in pairs
    ]


def _pairs(rng: np.random.Generator, count: int) -> list[tuple[str, object]]:
    return [VALUES[index] for index in rng.integers(len(VALUES), size=count)]


def _one(rng: np.random.Generator) -> Ask:
    return _set(*_pairs(rng, 1))


def _many(rng: np.random.Generator) -> Ask:
    return _set(*_pairs(rng, 100))


def _all_or_none(rng: np.random.Generator) -> Ask:
    request = SetParametersAtomically.Request(parameters=_messages(*_pairs(rng, 3)))
    return Ask(SetParametersAtomically, "detector_node/set_parameters_atomically", request)


def _looks(rng: np.random.Generator) -> Ask:
    names = [name for name, _ in _pairs(rng, int(rng.integers(1, 200)))]
    kind, name, request = [
        (GetParameters, "get_parameters", GetParameters.Request(names=names)),
        (GetParameterTypes, "get_parameter_types", GetParameterTypes.Request(names=names)),
        (DescribeParameters, "describe_parameters", DescribeParameters.Request(names=names)),
        (ListParameters, "list_parameters", ListParameters.Request(prefixes=names, depth=2**64 - 1)),
    ][rng.integers(4)]
    return Ask(kind, f"detector_node/{name}", request)


def _switch(rng: np.random.Generator) -> Ask:
    return switch(bool(rng.random() < 0.9))


def _unknown_type(rng: np.random.Generator) -> Ask:
    message = ParameterMessage(name="keep", value=ParameterValue(type=int(rng.integers(10, 256)), string_value="R"))
    request = SetParameters.Request(parameters=[message])
    return Ask(SetParameters, "detector_node/set_parameters", request, answered=False)
