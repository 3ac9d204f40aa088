"""The pages of docs/reference, written from the code: `make reference` writes them, `--check` compares them.

Names choose pages (`reference_pages.py --check messages`); without one, all of them. Exit code 1: a page differs.
"""

from __future__ import annotations

import argparse
import sys
from importlib import import_module
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "docs" / "reference"

PAGES = {
    "launch": ("launch_arguments", "Launch arguments", "launch/"),
    "parameters": ("parameters", "Node parameters", "nanodet_kp_ros/settings.py, nanodet_kp_ros/player_node.py"),
    "messages": ("messages", "Messages", "msg/"),
    "commands": ("commands", "The command line", "nanodet_kp_core/__main__.py, nanodet_kp_core/commands/"),
    "configuration": ("configuration", "The training configuration", "nanodet_kp_core/config/"),
    "labels": ("label_formats", "Label formats", "nanodet_kp_core/labels/"),
    "onnx": ("onnx_metadata", "The metadata of ONNX files", "nanodet_kp_core/runtime/"),
    "python": ("python_names", "The public Python names", "nanodet_kp_core/__init__.py"),
}
"""Module in tools/reference, title, and what the page is written from."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; name the pages that differ from the code")
    parser.add_argument("pages", nargs="*", metavar="PAGE", help=f"one of {', '.join(PAGES)} (default: all)")
    args = parser.parse_args()
    unknown = sorted(set(args.pages) - set(PAGES))
    if unknown:
        parser.error(f"expected pages of {', '.join(PAGES)}, got {unknown[0]}")
    sys.path.insert(0, str(ROOT))
    differing = []
    for name in args.pages or PAGES:
        path, text = FOLDER / f"{name}.md", written(name)
        if path.is_file() and path.read_text(encoding="utf-8") == text:
            continue
        differing.append(path.relative_to(ROOT).as_posix())
        if not args.check:
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
    if differing and args.check:
        print(f"{', '.join(differing)}: expected what the code says, got another text; run make reference")
    elif differing:
        print(f"written: {', '.join(differing)}")
    return int(bool(differing) and args.check)


def written(name: str) -> str:
    """The text of a page."""
    module, title, source = PAGES[name]
    files = " and ".join(f"`{part}`" for part in source.split(", "))
    note = f"This page is written from {files}: change the text there, then run `make reference`."
    return f"# {title}\n\n{import_module(f'reference.{module}').page()}\n\n---\n\n{note}\n"


if __name__ == "__main__":
    sys.exit(main())
