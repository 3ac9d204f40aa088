"""How a node of this package starts and ends."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Sequence

import rclpy
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node

from nanodet_kp_core.errors import NanodetKpError


def run(name: str, make_node: Callable[[], Node], arguments: Sequence[str] | None) -> int:
    """Makes the node and spins it until SIGINT, SIGTERM or its own `SystemExit`; returns the exit code of the process.

    An error that the user can mend is one sentence on stderr and the exit code 2.
    """
    # Ctrl-C in a terminal reaches a launched node twice: from the terminal and from the launch process. As an exception
    # the second would strike anywhere in the clean-up of the first; rclpy ends the spin by itself, without any.
    signal.signal(signal.SIGINT, lambda *_: None)
    rclpy.init(args=None if arguments is None else list(arguments))
    # Before the node: after a signal during the start there is nothing left to make an executor on.
    executor = SingleThreadedExecutor()
    try:
        executor.add_node(make_node())
        executor.spin()
        code = 0
    except NanodetKpError as error:
        print(f"{name}: {error}", file=sys.stderr)
        code = 2
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
    return code
