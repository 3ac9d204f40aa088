"""Where the files lie that come with the package and are no Python: models, configurations, package.xml."""

from __future__ import annotations

import re
from pathlib import Path

from nanodet_kp_core.errors import ConfigError
from nanodet_kp_core.paths import resolved

NAME = "nanodet_kp_ros"
PACKAGE = Path(__file__).resolve().parent


def share_folders() -> list[Path]:
    """Where the files may lie, nearest first: beside this package, as in a checkout, then `share/nanodet_kp_ros` of
    each folder above it, as in every prefix of pip, colcon or apt."""
    return [PACKAGE.parent, *(folder / "share" / NAME for folder in PACKAGE.parents)]


def share_folder() -> Path:
    """The nearest of `share_folders` with a package.xml; it holds `models/` and `config/`.

    Raises ConfigError where there is none: Python files that were copied alone.
    """
    for folder in share_folders():
        if (folder / "package.xml").is_file():
            return folder
    raise ConfigError(
        f"{PACKAGE}: expected its models and configurations beside it or in share/{NAME} of a folder above, got "
        "neither; install the package again"
    )


def own_or_shared(path: str | Path) -> Path:
    """The path with `~`, `file://` and `package://` written out (paths.resolved); a relative one that is not there, but
    in `share_folder`, is taken from it.

    So `models/armor_s.onnx` and `config/armor_s.yaml` mean the same in a checkout and after `pip install`.
    """
    path = resolved(path)
    if path.is_absolute() or ".." in path.parts or path.parts[:1] not in (("models",), ("config",)):
        return path
    try:
        shared = share_folder() / path
        return path if path.exists() or not shared.is_file() else shared
    except (ConfigError, OSError, ValueError):  # a name that no file can have is refused by who opens it
        return path


def version() -> str:
    """Version of the package, from package.xml, its only home. Raises ConfigError as `share_folder` does."""
    file = share_folder() / "package.xml"
    found = re.search(r"<version>\s*([^<\s]+)\s*</version>", file.read_text(encoding="utf-8"))
    if found is None:
        raise ConfigError(f"{file}: expected a <version>, got none; install the package again")
    return found[1]
