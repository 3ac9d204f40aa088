"""The layouts show the topics that the node has, and the documentation lists all of them."""

import json
import re

import yaml
from ros_helpers import ROOT

TOPICS = {"/armors", "/armors/image", "/armors/markers", "/diagnostics"}


def strings(value):
    """All strings in a document, keys too."""
    if isinstance(value, dict):
        return {found for pair in value.items() for part in pair for found in strings(part)}
    if isinstance(value, list):
        return {found for part in value for found in strings(part)}
    return {value} if isinstance(value, str) else set()


def test_every_topic_has_a_row_in_the_documentation():
    source = "".join((ROOT / "nanodet_kp_ros" / name).read_text() for name in ("outputs.py", "annotated.py"))
    topics = set(re.findall(r'"(armors[\w/]*)"', source))
    assert len(topics) > 4
    rows = (ROOT / "docs/node.md").read_text(encoding="utf-8").split("## Topics")[1].split("\n## ")[0]
    assert topics <= set(re.findall(r"(?m)^\| `([\w/]+)`", rows))


def test_foxglove():
    layout = json.loads((ROOT / "config/foxglove.json").read_text())
    assert {text for text in strings(layout["configById"]) if text.startswith("/")} == TOPICS
    assert strings(layout["layout"]) - {"row", "column", "direction", "first", "second", "splitPercentage"} == set(
        layout["configById"]
    )


def test_rviz():
    layout = yaml.safe_load((ROOT / "config/detector.rviz").read_text())
    assert {text for text in strings(layout) if text.startswith("/")} == {"/armors/image", "/armors/markers"}
    displays = layout["Visualization Manager"]["Displays"]
    classes = {display["Class"] for display in displays}
    assert classes >= {"rviz_default_plugins/Image", "rviz_default_plugins/MarkerArray"}
