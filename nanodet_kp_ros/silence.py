"""Why no image comes, and what to do: advice that helps when it is followed exactly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

RAW, COMPRESSED = IMAGE_TYPES = ("sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage")
ENDING = "/compressed"

LOSS_ADVICE = (
    "start the publisher with the environment variable FASTDDS_DEFAULT_PROFILES_FILE (Humble, Jazzy: "
    "FASTRTPS_DEFAULT_PROFILES_FILE) set to this package's config/fastdds_images.xml, or send smaller or compressed "
    "images"
)


@dataclass(frozen=True)
class Silence:
    """What the node knows when no image comes.

    topic, wanted: what it listens to, and the type that it takes. types: those of the topic's publishers. others: other
    topics with images (name, type). came: whether an image has ever come. environment: of this process.
    """

    topic: str
    wanted: str
    reliable: bool
    types: Sequence[str]
    others: Sequence[tuple[str, str]]
    came: bool
    environment: Mapping[str, str]

    def advice(self) -> str:
        """One sentence, without a full stop."""
        if self.wanted in self.types:
            return self._nothing_arrives()
        if set(self.types) & set(IMAGE_TYPES):
            return f"The type is another one: {how_to_listen(self.topic, self._sent_type())}"
        sibling = self._sibling()
        if sibling is not None:
            return f"The camera sends {sibling[0]}: {how_to_listen(*sibling)}"
        if self.types and not self.others:
            return "That is no image: remap image_raw to the camera's image (launch argument image:=TOPIC)"
        if self.types:
            return f"That is no image: {how_to_listen(*self.others[0])}"
        if len(self.others) == 1:
            return f"Remap image_raw: {how_to_listen(*self.others[0])}"
        if self.others:
            return f"Remap image_raw to one of them, for the first: {how_to_listen(*self.others[0])}"
        return f"Start the camera{discovery_advice(self.environment)}"

    def _nothing_arrives(self) -> str:
        if self.reliable:
            return "Set image_qos to best_effort, which receives from both kinds of publisher"
        if self.came:
            return (
                "It has stopped, or large images are lost on the way. `ros2 topic hz` says which: where that receives "
                f"none either, start the camera again; otherwise {LOSS_ADVICE}"
            )
        return (
            "It may not have sent anything yet: wait for its first image, and look into its log. If it does send, "
            f"large images are lost on the way: {LOSS_ADVICE}"
        )

    def _sent_type(self) -> str:
        return RAW if RAW in self.types else COMPRESSED

    def _sibling(self) -> tuple[str, str] | None:
        """The same camera's images in the other form."""
        name = self.topic.removesuffix(ENDING) if self.wanted == COMPRESSED else f"{self.topic}{ENDING}"
        other = RAW if self.wanted == COMPRESSED else COMPRESSED
        return (name, other) if (name, other) in self.others else None


def how_to_listen(topic: str, message_type: str) -> str:
    """What to start the node with for the images of this topic, for `ros2 run` and for the launch file."""
    if message_type == RAW:
        return (
            f"start the node with -r image_raw:={topic} -p image_transport:=raw "
            f"(launch: image:={topic} image_transport:=raw)"
        )
    if topic.endswith(ENDING):
        base = topic.removesuffix(ENDING)
        return (
            f"start the node with -r image_raw:={base} -p image_transport:=compressed "
            f"(launch: image:={base} image_transport:=compressed)"
        )
    return (
        f"start the node with -r image_raw/compressed:={topic} -p image_transport:=compressed "
        "(the launch file has no argument for such a name)"
    )


def discovery_advice(environment: Mapping[str, str]) -> str:
    """Which settings of this process decide whom it can see at all."""
    domain = environment.get("ROS_DOMAIN_ID", "").strip() or "0"
    parts = [f" with the same ROS_DOMAIN_ID as this node ({domain})"]
    if environment.get("ROS_LOCALHOST_ONLY", "").strip() == "1":
        parts.append("ROS_LOCALHOST_ONLY is 1 here: other machines are not seen, and a camera without it is not either")
    reach = environment.get("ROS_AUTOMATIC_DISCOVERY_RANGE", "").strip().upper()
    if reach == "OFF":
        parts.append("ROS_AUTOMATIC_DISCOVERY_RANGE is OFF here: no other node is found; set it to SUBNET in both")
    elif reach == "LOCALHOST":
        parts.append(
            "ROS_AUTOMATIC_DISCOVERY_RANGE is LOCALHOST here: other machines are not seen; set it to SUBNET in both"
        )
    if environment.get("ROS_DISCOVERY_SERVER"):
        parts.append("ROS_DISCOVERY_SERVER is set here: only what is known there is seen")
    return "; ".join(parts)
