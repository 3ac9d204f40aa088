"""Paths as people write them, and what lies at them, in words."""

from __future__ import annotations

import os
import re
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote

from nanodet_kp_core.errors import ConfigError, NanodetKpError

FILE, FOLDER, DEVICE = "a file", "a folder", "a device or a pipe"

# pathlib makes one slash of two, so that a scheme may have lost some.
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/+")
_WINDOWS = re.compile(r"[A-Za-z]:[\\/]")
_LONGEST_SHOWN = 200
_MOST_FOLDERS = 1 << 15


def resolved(path: str | Path, error: type[NanodetKpError] = ConfigError) -> Path:
    """The path with `~`, `file://` and `package://NAME/` written out; every other one as it stands.

    The shell expands `~` neither after `:=` nor in a parameter file. Raises `error` for a home folder or a package that
    is not known.
    """
    text = str(path)
    scheme = _SCHEME.match(text)
    if scheme and scheme[1].lower() == "file":
        return Path("/" + unquote(re.sub(r"(?i)^file:/+(localhost/+)?", "", text)))
    if scheme and scheme[1].lower() == "package":
        return _in_package(text[scheme.end() :], error)
    if text.startswith("~"):
        text = os.path.expanduser(text)
        if text.startswith("~") and not os.path.lexists(text):
            raise error(f"{brief(path)}: expected a user with a home folder, got none; write the whole path")
    return Path(text)


def what_is(path: Path) -> str:
    """FILE, FOLDER or DEVICE, else why nothing can be seen there. It never raises."""
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        return _missing(path)
    except OSError as error:
        return (error.strerror or "an error of the system").lower()
    except ValueError:  # a null byte, half of a character
        return "a name that no file can have"
    if stat.S_ISDIR(mode):
        return FOLDER
    return FILE if stat.S_ISREG(mode) else DEVICE


def names_below(folder: Path, extensions: tuple[str, ...], skip: Callable[[str], bool] = lambda _: False) -> list[str]:
    """Names of the files with one of these extensions (lower case) in a folder and below, with forward slashes.

    Linked folders are entered, each folder once on a way, so that links in a circle end. A link to a file that is not
    there counts as a file, so that reading it gives the error; a folder that may not be entered gives a warning on
    stderr.
    skip: names of folders and files that are left out. Raises ConfigError where links multiply the folders.
    """
    found: list[str] = []
    left = _MOST_FOLDERS
    pending: list[tuple[str, frozenset[tuple[int, int]]]] = [("", frozenset())]
    while pending:
        inside, above = pending.pop()
        here = os.path.join(folder, inside)
        try:
            status = os.stat(here)
            entries = sorted(os.scandir(here), key=lambda entry: entry.name)
        except PermissionError:
            print(f"warning: {brief(here)}: permission denied, left out", file=sys.stderr)
            continue
        except OSError:  # it has just gone
            continue
        identity = (status.st_dev, status.st_ino)
        if identity in above:
            continue
        left -= 1
        if left < 0:
            got = "more: links to folders that hold each other"
            raise ConfigError(f"{brief(folder)}: expected at most {_MOST_FOLDERS} folders in it, got {got}")
        for entry in entries:
            name = f"{inside}/{entry.name}" if inside else entry.name
            if skip(entry.name):
                continue
            if entry.is_dir():
                pending.append((name, above | {identity}))
            elif entry.name.lower().endswith(extensions) and (entry.is_file() or _leads_nowhere(entry)):
                found.append(name)
    return found


def _leads_nowhere(entry: os.DirEntry[str]) -> bool:
    return entry.is_symlink() and not os.path.exists(entry.path)


def brief(path: str | Path) -> str:
    """A path for a message: printable, on one line, shortened in the middle."""
    text = str(path)
    if not text.isprintable():
        text = text.encode("unicode_escape", "backslashreplace").decode("ascii")
    half = _LONGEST_SHOWN // 2
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:half]}...{text[-half:]}"


def _missing(path: Path) -> str:
    text = str(path)
    scheme = _SCHEME.match(text)
    if scheme:
        return f"a URL ({scheme[1].lower()}), which is not read here"
    if _WINDOWS.match(text) and os.name != "nt":
        return "no such file (a path of Windows, unknown to this system)"
    if os.path.islink(path):
        return "a link to a file that is not there"
    return "no such file"


def _in_package(rest: str, error: type[NanodetKpError]) -> Path:
    name, _, inside = rest.partition("/")
    for prefix in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep):
        share = Path(prefix) / "share" / name
        if prefix and name and share.is_dir():
            return share / inside
    raise error(
        f"package://{brief(rest)}: expected an installed package, got none of the name {brief(name)!r} in "
        "AMENT_PREFIX_PATH; source its setup.bash, or write the whole path"
    )
