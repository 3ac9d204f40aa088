"""How a node of this package starts and ends."""

from __future__ import annotations

import atexit
import os
import re
import signal
import sys
import threading
from collections.abc import Callable, Sequence

import rclpy
from rclpy.exceptions import NameValidationException, ParameterException
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node

from nanodet_kp_core.errors import ConfigError, NanodetKpError, reason_of
from nanodet_kp_ros.memory import set_up_heaps
from nanodet_kp_ros.transports import choose_transports

CONFIGURATION = 2
"""Exit code for what the user has to correct: to start the node again would not help."""

_TOLD_EVERY_S = 5.0

# What rcl and rclpy raise for names, QoS overrides and the like; rcl's own error is a RuntimeError.
_REJECTED = (RuntimeError, ValueError, OSError, NameValidationException, ParameterException)
_SOURCE_LINE = re.compile(r",? at /\S+\.(?:c|cpp|h|hpp):\d+")

# Words of rcl -> what to do about it.
_HINTS = {
    "parsing a event": "a parameter file is YAML in UTF-8, indented by spaces, not by tabs",
    "before ros__parameters": "a parameter file holds the node's name (or /**:), below it ros__parameters:, below that "
    "the parameters",
    "No value at line": "write '' for an empty text, or leave the line out",
    "Sequence should be of same type": "a list holds values of one type",
    "opening YAML file": "check the path of the parameter file",
    "setting topic QoS": "check qos_overrides: a depth is a whole number of images, 1 or more",
    "remap rule": "a rule is FROM:=TO, and names are of letters, digits, _ and /, without a digit at the beginning",
    "parameter override rule": "a rule is NAME:=VALUE, the value as in YAML",
    "log directory": "set ROS_LOG_DIR to a folder that can be written",
    "ROS_DOMAIN_ID": "set it to a number of 0 to 101",
}


def run(name: str, make_node: Callable[[], Node], arguments: Sequence[str] | None) -> int:
    """Makes the node and spins it until SIGINT, SIGTERM or its own `SystemExit`; returns the exit code of the process.

    An error that the user can correct is one sentence on stderr and the exit code CONFIGURATION.
    """
    # Ctrl-C in a terminal reaches a launched node twice: from the terminal and from the launch process. As an exception
    # the second would strike anywhere in the clean-up of the first; rclpy ends the spin by itself, without any.
    signal.signal(signal.SIGINT, lambda *_: None)
    set_up_heaps()
    choose_transports()
    try:
        rclpy.init(args=None if arguments is None else list(arguments))
    except Exception as error:  # arguments, parameter files, remappings, environment, the folder of the logs
        print(f"{name}: {_refusal(error)}", file=sys.stderr)
        return CONFIGURATION
    # Before the node: after a signal during the start there is nothing left to make an executor on.
    executor = SingleThreadedExecutor()
    try:
        executor.add_node(_made(make_node))
        _spin(executor)
        code = 0
    except NanodetKpError as error:
        print(f"{name}: {error}", file=sys.stderr)
        code = CONFIGURATION
    except SystemExit as end:
        code = int(end.code or 0)
    except ExternalShutdownException:
        code = 0
    except Exception:
        # After a signal the context is gone, and whatever was just under way fails for that reason.
        if rclpy.ok():
            raise
        code = 0
    # Python gives its own handlers up when it ends, an ignored signal stays ignored.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for node in executor.get_nodes():
        node.destroy_node()
    if rclpy.ok():
        rclpy.shutdown()
    if any(thread.daemon for thread in threading.enumerate()):
        atexit.register(_leave, code)
    return code


def _leave(code: int) -> None:
    """Ends the process without Python's own end, which a thread inside onnxruntime would answer with abort()."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _made(make_node: Callable[[], Node]) -> Node:
    """The node. Raises ConfigError for names and settings that ROS does not take."""
    try:
        return make_node()
    except _REJECTED as error:
        if not rclpy.ok():
            raise
        raise ConfigError(_refusal(error)) from error


def _spin(executor: SingleThreadedExecutor) -> None:
    """Spins to the end. What a message or a request makes fail is told, and the node goes on.

    Raises what is meant to end it: NanodetKpError and SystemExit.
    """
    while rclpy.ok():
        try:
            executor.spin()
        except (NanodetKpError, ExternalShutdownException):
            raise
        except Exception as error:
            if not rclpy.ok():
                return
            for node in executor.get_nodes():
                text = f"an event could not be handled: {reason_of(error)}; the node goes on"
                node.get_logger().error(text, throttle_duration_sec=_TOLD_EVERY_S)


def _refusal(error: Exception) -> str:
    """What ROS says, on one line and without the places in its sources."""
    reason = " ".join(_SOURCE_LINE.sub("", str(error)).split()).removeprefix("failed to initialize rcl: ").rstrip(".")
    advice = next((hint for words, hint in _HINTS.items() if words in reason), "correct that and start again")
    got = reason[:500] or type(error).__name__
    return f"expected arguments, parameter files and an environment that ROS takes, got: {got}; {advice}"
