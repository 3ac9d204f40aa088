"""Images out of rosbag2 recordings (sqlite3 or MCAP), without ROS: the `rosbags` library reads them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nanodet_kp_core.errors import SourceError
from nanodet_kp_core.paths import FILE, FOLDER, resolved, what_is

IMAGE_TYPES = ("sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage")
INFO_TYPE = "sensor_msgs/msg/CameraInfo"
FILES = (".mcap", ".db3", ".bag")


_COMPRESSED = tuple(f"{ending}.zstd" for ending in FILES)


@dataclass(frozen=True)
class Recorded:
    """A message as it was recorded: time_ns when it came to the recorder, data as ROS serialises it (CDR)."""

    topic: str
    type_name: str
    time_ns: int
    data: bytes


def is_bag(path: str | Path) -> bool:
    """Whether the path is a recording: a folder with metadata.yaml or with files of one, or such a file, compressed or
    of ROS 1 as well."""
    path = resolved(path, SourceError)
    return what_is(path / "metadata.yaml") == FILE or bool(_parts(path, (*FILES, *_COMPRESSED)))


def _parts(path: Path, endings: tuple[str, ...]) -> list[Path]:
    """The path itself, or the files in a folder whose metadata.yaml is missing, as after a power cut."""
    if what_is(path) == FILE:
        found = [path]
    elif what_is(path) == FOLDER and what_is(path / "metadata.yaml") != FILE:
        found = sorted(inside for inside in path.iterdir() if what_is(inside) == FILE)
    else:
        found = []
    return [file for file in found if file.name.endswith(endings)]


class Bag:
    """The images of one topic of a recording, and what their camera published beside them.

    Attributes: topic and type_name of the images; info_topic of the CameraInfo messages, None when there are none.
    """

    def __init__(self, path: str | Path, topic: str = "") -> None:
        """Open it. topic: which images; empty when there is but one topic with images.

        Raises SourceError when `rosbags` is not installed, when this is no recording or a broken one, and when there is
        no such topic or it must be chosen.
        """
        try:
            from rosbags.highlevel import AnyReader  # only here: it is needed for recordings alone
            from rosbags.typesys import Stores, get_typestore
        except ImportError:
            raise SourceError(
                f"bag {path}: expected the Python library that reads bags, got none: pip install rosbags"
            ) from None
        self.path = resolved(path, SourceError)
        if not is_bag(self.path):
            raise SourceError(f"bag {path}: expected a folder with metadata.yaml, a .mcap, .db3 or .bag file, got none")
        packed = _parts(self.path, _COMPRESSED)
        if packed:
            raise SourceError(
                f"bag {path}: expected a recording with its metadata.yaml or a .mcap or .db3 file, got a compressed "
                f"file; unpack it with `zstd -d {packed[0].name}`"
            )
        try:
            # sqlite3 bags before Iron do not say what their messages look like.
            store = get_typestore(Stores.ROS2_HUMBLE)
            self._reader: Any = AnyReader(_parts(self.path, FILES) or [self.path], default_typestore=store)
            self._reader.open()
        except Exception as error:  # its parsers raise whatever a broken file makes of them
            raise self._broken(error) from None
        try:
            self.topic, self.type_name = self._choose(topic)
        except SourceError:
            self.close()
            raise
        self.info_topic = self._find_info()

    def __iter__(self) -> Iterator[Recorded]:
        """Images and CameraInfo messages in the order of their recording; can be iterated again and again.

        Raises SourceError where the recording breaks off.
        """
        wanted = [
            connection
            for connection in self._reader.connections
            if (connection.topic, connection.msgtype) in ((self.topic, self.type_name), (self.info_topic, INFO_TYPE))
        ]
        messages = self._reader.messages(connections=wanted)
        while True:
            try:
                entry = next(messages, None)
            except Exception as error:
                raise self._broken(error) from None
            if entry is None:
                return
            connection, time_ns, data = entry
            yield Recorded(connection.topic, connection.msgtype, int(time_ns), bytes(data))

    def message(self, recorded: Recorded) -> Any:
        """The message's fields, with the names that they have in ROS; lists of numbers are arrays.

        Raises SourceError when the data is no such message.
        """
        try:
            return self._reader.deserialize(recorded.data, recorded.type_name)
        except Exception as error:
            raise self._broken(error) from None

    def close(self) -> None:
        """Release the files."""
        self._reader.close()

    def _choose(self, topic: str) -> tuple[str, str]:
        found = {c.topic: c.msgtype for c in self._reader.connections if c.msgtype in IMAGE_TYPES}
        listed = ", ".join(sorted(found)) or "none"
        if topic in found:
            return topic, found[topic]
        if topic or not found:
            raise SourceError(f"bag {self.path}: expected images on {topic or 'a topic'}, got images on: {listed}")
        if len(found) > 1:
            raise SourceError(f"bag {self.path}: expected the name of one topic with images, got several: {listed}")
        return next(iter(found.items()))

    def _find_info(self) -> str | None:
        """The camera's topic: as image_transport names it, else the only one of the recording."""
        topics = {c.topic for c in self._reader.connections if c.msgtype == INFO_TYPE}
        base = self.topic.rsplit("/", 1)[0] if self.type_name == IMAGE_TYPES[1] else self.topic
        beside = f"{base.rsplit('/', 1)[0]}/camera_info"
        if beside in topics:
            return beside
        return topics.pop() if len(topics) == 1 else None

    def _broken(self, error: Exception) -> SourceError:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        files = _parts(self.path, FILES) or sorted(self.path.glob("*.mcap"))
        found = files[0] if files else self.path
        advice = {
            ".mcap": f"`mcap recover {found.name} -o repaired.mcap` saves what is in it",
            ".bag": f"`rosbag reindex {found.name}` saves what is in it",
        }.get(found.suffix, f"`ros2 bag reindex {self.path.name}` may repair it")
        kind = "ROS 1" if found.suffix == ".bag" else "rosbag2"
        return SourceError(f"bag {self.path}: expected a complete {kind} recording, got: {reason}; {advice}")
