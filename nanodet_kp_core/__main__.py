"""The installed command: `nanodet-kp COMMAND ...`, or `python -m nanodet_kp_core COMMAND ...`."""

from __future__ import annotations

import argparse
import difflib
import sys
from collections.abc import Callable
from importlib import import_module

from nanodet_kp_core.command import guarded
from nanodet_kp_core.errors import ConfigError
from nanodet_kp_core.share import PACKAGE, version

PROG = "nanodet-kp"

# In the order of a user's work; one line each.
TOUR = (
    ("Find plates", (("detect", "find plates in images, videos, streams and cameras"),)),
    (
        "Get labeled images",
        (
            ("bag", "take images out of a ROS bag, with labels by the model to be corrected"),
            ("synthesize", "render images with exact labels, a clip or a contact sheet"),
            ("convert", "write labels in another format"),
        ),
    ),
    (
        "Check them",
        (
            ("check", "name each fault of a data set, by file and line"),
            ("view", "draw the labels into the images"),
            ("show-augmentation", "show what training makes of the images"),
        ),
    ),
    (
        "Train",
        (
            ("import-weights", "turn a checkpoint of the published NanoDet into one to start from"),
            ("train", "make the model better on your images, or train one by a configuration"),
            ("train-bars", "train the last look of the second stage, at the ends of a bar"),
            ("train-refiner", "train the second stage, which looks at each proposal again"),
            ("fit-scout", "fit the weights by which the light-bar scout ranks its pairs"),
        ),
    ),
    ("Evaluate", (("evaluate", "precision, corner errors and pose errors on labeled images, with a report"),)),
    (
        "Deploy",
        (
            ("export", "write a checkpoint as an ONNX file for detect and for the ROS node"),
            ("join", "put a model and its second stage into one file"),
            ("calibrate-refiner", "make the scores of an exported second stage mean what they say"),
            ("quantize", "try int8, and keep it where it is faster on this machine"),
        ),
    ),
)
_INSTALL = "a virtual environment with `pip install '.[train]'`, run in a clone of nanodet_kp_ros"

COMMANDS = tuple(name for _, commands in TOUR for name, _ in commands)


def main() -> int:
    """Run the command that sys.argv names; returns its exit code. Without one, show the tour."""
    name = sys.argv[1] if len(sys.argv) > 1 else ""
    if name not in COMMANDS:
        _parser().parse_args()
        _parser().print_help()
        return 0
    sys.argv[:2] = [f"{PROG} {name}"]  # what the command's own parser calls itself
    return guarded(lambda: run_command(name), "error", "stopped")


def run_command(name: str) -> int:
    """Load a command and run it; returns its exit code. Raises ConfigError where a package that it needs is missing."""
    try:
        return _loaded(name)()
    except ModuleNotFoundError as error:
        missing = (error.name or str(error)).split(".")[0]
        if missing == __package__:  # on a robot, or a sourced workspace before a venv on PYTHONPATH
            raise ConfigError(
                f"{name}: expected an installation with all commands, got that of a robot in {PACKAGE}, without "
                f"{error.name}; use {_INSTALL}, and no PYTHONPATH"
            ) from None
        raise ConfigError(f"{name}: expected the Python package {missing}, got none; use {_INSTALL}") from None


def _loaded(name: str) -> Callable[[], int]:
    """The function of a command; its module is loaded only now."""
    command: Callable[[], int] = getattr(import_module(module_of(name)), "program" if name == "detect" else "main")
    return command


def module_of(name: str) -> str:
    """Name of the module that holds a command."""
    if name == "detect":  # a robot has it too, and none of the others
        return "nanodet_kp_core.detect"
    return f"nanodet_kp_core.commands.{name.replace('-', '_')}"


def _command(text: str) -> str:
    near = difflib.get_close_matches(text, COMMANDS, n=1)
    hint = f"did you mean {near[0]}?" if near else f"{PROG} --help lists them"
    raise argparse.ArgumentTypeError(f"expected a command, got {text!r}; {hint}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=PROG,
        usage=f"{PROG} COMMAND ...",
        description="Finds RoboMaster armor plates with their four corners, and trains what finds them.",
        epilog=_tour(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("command", nargs="?", type=_command, help=argparse.SUPPRESS)
    parser.add_argument("--version", action="version", version=f"{PROG} {version()}")
    return parser


def _tour() -> str:
    width = max(map(len, COMMANDS))
    groups = []
    for title, commands in TOUR:
        groups.append("\n".join([f"{title}:", *(f"  {name:{width}}  {line}" for name, line in commands)]))
    return "\n\n".join([*groups, f"{PROG} COMMAND --help says more."])


if __name__ == "__main__":
    sys.exit(main())
