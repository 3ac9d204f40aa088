"""How the process of a node ends while a thread of it is inside the network."""

import subprocess
import sys

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2: make setup, or source an installation")

from ros_helpers import ROOT

SCRIPT = """
import sys, threading
import numpy as np
from rclpy.node import Node
from nanodet_kp_core.runtime.models.bundled import bundled_model
from nanodet_kp_core.runtime.models.session import load_session
from nanodet_kp_ros.runner import run

session = load_session(bundled_model(), 1)
blob = np.zeros(session.metadata.input_shape, np.uint8)
running = threading.Event()

def work():
    while True:
        session.run(blob)
        running.set()

def make_node():
    threading.Thread(target=work, daemon=True).start()
    assert running.wait(60)
    node = Node("own")
    node.create_timer(0.01, end)
    return node

def end():
    raise SystemExit(3)

print("before the end")
sys.exit(run("own", make_node, []))
"""


def test_a_thread_inside_the_network_does_not_abort_the_end():
    """Python ends a daemon thread where it asks for the GIL: inside onnxruntime, which answers with abort()."""
    done = subprocess.run([sys.executable, "-c", SCRIPT], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (3, "")
    assert done.stdout == "before the end\n"
