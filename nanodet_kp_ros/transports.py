"""Shared memory for images of full size: the profile that the middleware reads before the first node is made."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, MutableMapping
from pathlib import Path

from nanodet_kp_core.share import share_folders

# Fast DDS 3 reads the first, Fast DDS 2 (Humble, Jazzy) the second; other middlewares read neither.
_PROFILES = ("FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE")
_OWN_SETTINGS = (*_PROFILES, "FASTDDS_BUILTIN_TRANSPORTS")
_PROFILE_FILE = Path("config", "fastdds_images.xml")


def choose_transports(environment: MutableMapping[str, str] = os.environ) -> None:
    """Names this package's profile in the environment, to be called before rclpy.init.

    With the defaults of Fast DDS most images above half a megabyte are lost on the way. Settings of the user win.
    """
    if any(name in environment for name in _OWN_SETTINGS):
        return
    folder = next((folder for folder in share_folders() if (folder / _PROFILE_FILE).is_file()), None)
    if folder is not None:
        environment[_PROFILES[_is_fast_dds_2(environment)]] = str(folder / _PROFILE_FILE)


def _is_fast_dds_2(environment: Mapping[str, str]) -> bool:
    """By the distribution; wheels do not say theirs, and there by the name of the package."""
    distribution = environment.get("ROS_DISTRO")
    if distribution is not None:
        return distribution in ("humble", "jazzy")
    prefixes = [*environment.get("AMENT_PREFIX_PATH", "").split(os.pathsep), sys.prefix]
    return any(prefix and Path(prefix, "share", "fastrtps").is_dir() for prefix in prefixes)
