"""Helpers of the ROS tests: nodes as processes, a peer in this process, a model whose answer depends on the image."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from speed import processor_s
from tiny_model import TinyPlate, encode, tiny_metadata

from nanodet_kp_core.runtime.models.metadata import METADATA_KEY

ROOT = Path(__file__).resolve().parents[2]


def domain_lock(number: int) -> Path:
    """The file that a test with this DDS domain has locked."""
    return Path(tempfile.gettempdir()) / f"ros_domain_{os.getuid()}_{number}.lock"


DEADLINE_S = 60.0
"""For what must come, on a machine that is busy with other things."""

PLATES = (
    TinyPlate("B_3", 0.9, [[12, 20], [14, 31], [40.5, 33], [38, 22.25]]),
    TinyPlate("R_Bb", 0.75, [[60, 60], [61, 80], [90, 81], [89, 59]]),
)


def make_image_model(path: Path, plates: Sequence[TinyPlate] = PLATES, layers: int = 0) -> Path:
    """A model that reports these plates, their corners moved by the image's mean blue, green and red.

    A node that answers with another image's plates, or mixes up the channels, is then seen.
    layers: convolutions whose result is multiplied by zero; each takes 1.4 billion multiply-adds. They average, so
    their values stay within those of the image: a model slow by denormals is slow on some processors only.
    """
    metadata = tiny_metadata(width=96, height=96)
    value = encode(metadata, plates)
    gain = np.zeros((3, value.shape[1]), np.float32)
    corners = metadata.head.corner_slice
    gain[:, corners] = np.random.default_rng(5).normal(0, 0.03, gain[:, corners].shape)
    nodes = [
        helper.make_node("ReduceMean", ["image"], ["means"], axes=[2, 3], keepdims=0),
        helper.make_node("MatMul", ["means", "gain"], ["moves"]),
        helper.make_node("Add", ["value", "moves"], ["answer"]),
        *_slow_nodes(layers),
        helper.make_node("Add", ["answer", f"nothing_{layers}"], ["output"]),
    ]
    graph = helper.make_graph(
        nodes,
        "image_model",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, 96, 96])],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, [1, *value.shape])],
        [
            numpy_helper.from_array(gain, "gain"),
            numpy_helper.from_array(value[None], "value"),
            numpy_helper.from_array(np.zeros(1, np.float32), "nothing_0"),
            numpy_helper.from_array(np.full((128, 3, 1, 1), 1 / 3, np.float32), "first"),
            numpy_helper.from_array(np.full((128, 128, 3, 3), 1 / (128 * 9), np.float32), "middle"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    helper.set_model_props(model, {METADATA_KEY: metadata.to_json()})
    onnx.save(model, str(path))
    return path


def _slow_nodes(layers: int) -> list[onnx.NodeProto]:
    if layers == 0:
        return []
    names = [f"slow_{number}" for number in range(layers + 1)]
    convolutions = [
        helper.make_node("Conv", [before, "middle"], [after], pads=[1, 1, 1, 1])
        for before, after in itertools.pairwise(names)
    ]
    first = helper.make_node("Conv", ["image", "first"], [names[0]])
    mean = helper.make_node("ReduceMean", [names[-1]], ["mean"], axes=[1, 2, 3], keepdims=0)  # [1]
    zero = helper.make_node("Mul", ["mean", "nothing_0"], [f"nothing_{layers}"])
    return [first, *convolutions, mean, zero]


def colored_images(count: int, height: int = 120, width: int = 160) -> list[np.ndarray]:
    """Noise around `count` different colors, uint8 [height, width, 3]."""
    rng = np.random.default_rng(1)
    colors = rng.uniform(20, 235, (count, 3))
    return [np.clip(rng.normal(color, 12, (height, width, 3)), 0, 255).astype(np.uint8) for color in colors]


_WITH_CONSTANTS = """
import sys
from nanodet_kp_ros import {module} as module
for name, value in {constants}.items():
    assert hasattr(module, name), name
    setattr(module, name, value)
sys.exit(module.main())
"""


class NodeProcess:
    """A node started from the source tree as `python -m nanodet_kp_ros.NAME --ros-args ...`.

    constants: of the node's module, with values for this process, such as a period that a test cannot wait for.
    """

    def __init__(self, name: str, *ros_arguments: str, **constants: float) -> None:
        command = [sys.executable, "-m", f"nanodet_kp_ros.{name}", "--ros-args", *ros_arguments]
        if constants:
            command[1:3] = ["-c", _WITH_CONSTANTS.format(module=name, constants=constants)]
        self._lines: list[str] = []
        self._process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.append(line)

    @property
    def output(self) -> str:
        """All that it printed so far, stdout and stderr."""
        return "".join(self._lines)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def processor_s(self) -> float:
        """Seconds of processor time that it took so far."""
        return processor_s(self.pid)

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def wait_for(self, text: str, timeout_s: float = DEADLINE_S) -> str:
        """Waits until the output holds `text`; the output. Fails with the output when it does not come."""
        deadline = time.monotonic() + timeout_s
        while text not in self.output:
            if not self.running:
                self._reader.join(timeout=5)
                if text in self.output:
                    break
            assert self.running and time.monotonic() < deadline, f"no {text!r} in the output:\n{self.output}"
            time.sleep(0.02)
        return self.output

    def wait(self, timeout_s: float = DEADLINE_S) -> int:
        """Waits for its own end; the exit code."""
        code = self._process.wait(timeout=timeout_s)
        self._reader.join(timeout=5)
        return code

    def interrupt(self) -> None:
        """Sends SIGINT and does not wait."""
        self._process.send_signal(signal.SIGINT)

    def stop(self, signal_number: int = signal.SIGINT) -> int:
        """Sends the signal; the exit code. A process that does not end is killed, and fails."""
        if self.running:
            self._process.send_signal(signal_number)
        try:
            return self.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise AssertionError(f"the node does not end on signal {signal_number}:\n{self.output}") from None


def run_group(command: Sequence[str], timeout_s: float) -> tuple[int, str]:
    """Runs a command that starts processes of its own; (exit code, output). When it takes too long all are killed: a
    node that stays would answer the tests that get its domain after it."""
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    ) as process:
        try:
            output, _ = process.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            raise
        return process.returncode, output


class Peer:
    """A node in this process that sends and receives."""

    def __init__(self, name: str = "peer") -> None:
        import rclpy
        from rclpy.executors import SingleThreadedExecutor

        self._context = rclpy.Context()
        rclpy.init(context=self._context)
        self.node = rclpy.create_node(name, context=self._context)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self.node)

    def spin_until(self, condition: Callable[[], bool], timeout_s: float = DEADLINE_S) -> bool:
        """Handles what comes until the condition holds; whether it does."""
        deadline = time.monotonic() + timeout_s
        while not condition():
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            self._executor.spin_once(timeout_sec=min(0.05, left))
        return True

    def call(self, service_type: type, name: str, request, timeout_s: float = DEADLINE_S):
        """The answer of a service."""
        client = self.node.create_client(service_type, name)
        try:
            assert self.spin_until(client.service_is_ready, timeout_s), f"no service {name}"
            future = client.call_async(request)
            assert self.spin_until(future.done, timeout_s), f"no answer of {name}"
            return future.result()
        finally:
            self.node.destroy_client(client)

    def set_parameters(self, node: str = "detector_node", **values):
        """The result of each, from the node's service."""
        from rcl_interfaces.srv import SetParameters
        from rclpy.parameter import Parameter

        messages = [Parameter(name, value=value).to_parameter_msg() for name, value in values.items()]
        return self.call(SetParameters, f"{node}/set_parameters", SetParameters.Request(parameters=messages)).results

    def close(self) -> None:
        self._executor.shutdown()
        self.node.destroy_node()
        self._context.try_shutdown()


class DetectorPeer(Peer):
    """Sends images to a detector and collects its answers by stamp, and /diagnostics."""

    def __init__(
        self, message_type: type, topic: str = "image_raw", reliability: str = "reliable", listens: bool = True
    ) -> None:
        super().__init__()
        from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus

        from nanodet_kp_ros.msg import ArmorArray
        from nanodet_kp_ros.qos import armors_qos, image_qos

        self.answers: dict[tuple[int, int], ArmorArray] = {}
        self.arrays = 0  # of all, the several answers to an image that was sent several times too
        self.diagnostics: list[DiagnosticStatus] = []
        self.diagnosed_s = 0.0  # the stamp of the latest
        self.publisher = self.node.create_publisher(message_type, topic, image_qos(reliability))
        if listens:
            self.node.create_subscription(ArmorArray, "armors", self._on_armors, armors_qos())
        self.node.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, 10)

    def _on_armors(self, message) -> None:
        self.arrays += 1
        self.answers[message.header.stamp.sec, message.header.stamp.nanosec] = message

    def _on_diagnostics(self, message) -> None:
        self.diagnostics.extend(message.status)
        self.diagnosed_s = message.header.stamp.sec + message.header.stamp.nanosec / 1e9

    def figures(self) -> dict[str, str]:
        """What the node says about itself in /diagnostics, from now on: by the stamp, or two messages further where the
        node has another clock."""
        before, now = len(self.diagnostics), time.time()
        later = self.spin_until(lambda: self.diagnosed_s > now or len(self.diagnostics) >= before + 2)
        assert later, "no /diagnostics"
        return {pair.key: pair.value for pair in self.diagnostics[-1].values}

    def ask(self, message, tries: int = 120):
        """Sends the image until an answer with its stamp comes; the answer. Best effort may lose one on the way."""
        key = (message.header.stamp.sec, message.header.stamp.nanosec)
        for _ in range(tries):
            self.publisher.publish(message)
            if self.spin_until(lambda: key in self.answers, timeout_s=0.5):
                return self.answers[key]
        raise AssertionError(f"no answer with the stamp {key} after {tries} images")

    def wait_for_detector(self, timeout_s: float = DEADLINE_S) -> None:
        """Until the detector listens to us and we to it."""
        assert self.spin_until(
            lambda: self.publisher.get_subscription_count() > 0 and self.node.count_publishers("armors") > 0,
            timeout_s,
        ), "no detector on this domain"
