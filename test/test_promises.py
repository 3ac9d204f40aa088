"""test/promises.md says which test keeps which promise of docs/pains.md. Then the promises without a better place."""

import ast
import re
from pathlib import Path

import numpy as np
import pytest

from nanodet_kp_core.labels import label_robomaster, py_label_robomaster

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs" / "pains.md").read_text(encoding="utf-8")
INDEX = (ROOT / "test" / "promises.md").read_text(encoding="utf-8")
SOURCES = ("nanodet_kp_core", "nanodet_kp_ros", "training", "launch", "benchmark", "tools")

SINCE_NUMPY_2 = {
    "acos", "acosh", "asin", "asinh", "astype", "atan", "atan2", "atanh", "bitwise_count", "bitwise_invert",
    "bitwise_left_shift", "bitwise_right_shift", "concat", "cumulative_prod", "cumulative_sum", "isdtype",
    "matrix_transpose", "matvec", "permute_dims", "pow", "strings", "trapezoid", "unique_all", "unique_counts",
    "unique_inverse", "unique_values", "unstack", "vecdot", "vecmat",
}  # fmt: skip
"""Names that numpy 1.26 does not have. Source: the release notes of numpy 2.0 to 2.2."""


def sections(page):
    """Heading of each pain -> its promises, each with the indented lines below it: {promise: [test names]}."""
    found = {}
    for line in page.replace("../docs/", "").splitlines():
        if line.startswith("## "):
            promises = found[line.removeprefix("## ")] = {}
        elif line.startswith("- "):
            names = promises[line.removeprefix("- ")] = []
        elif line.startswith("  - `"):
            names.append(line.removeprefix("  - ").strip("`"))
    return found


def functions_of(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")}


def test_the_index_has_the_promises_of_the_page():
    wanted, indexed = sections(PAGE), sections(INDEX)
    assert list(indexed) == list(wanted)
    for heading, promises in wanted.items():
        assert list(indexed[heading]) == list(promises), heading


@pytest.mark.parametrize("heading", list(sections(INDEX)))
def test_every_promise_has_its_tests(heading):
    promises = sections(INDEX)[heading]
    assert promises
    for promise, names in promises.items():
        assert names, f"{promise}: no test"
        for name in names:
            path, _, function = name.partition("::")
            assert (ROOT / "test" / path).is_file(), f"{promise}: no file test/{path}"
            assert function in functions_of(ROOT / "test" / path), f"{promise}: no {name}"


def test_every_test_called_a_promise_is_in_the_list():
    """So that a new one is not forgotten there."""
    listed = {name for promises in sections(INDEX).values() for names in promises.values() for name in names}
    written = {
        f"{path.relative_to(ROOT / 'test').as_posix()}::{name}"
        for path in (ROOT / "test").rglob("test_*.py")
        for name in functions_of(path)
        if name.startswith("test_promise_")
    }
    assert sorted(written - listed) == []


def test_every_pain_has_its_section(shared_dir):
    pains = [line.split("|")[1].strip() for line in (shared_dir / "pains.md").read_text().splitlines() if "|" in line]
    assert list(sections(PAGE)) == pains[2:]


def modules(folders=SOURCES):
    return [ast.parse(path.read_text(encoding="utf-8")) for folder in folders for path in (ROOT / folder).rglob("*.py")]


def test_promise_numpy_1_26_and_2_no_name_that_one_of_them_lacks():
    used = {
        node.attr
        for tree in modules()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "np"
    }
    assert len(used) > 50
    assert sorted(used & SINCE_NUMPY_2) == []
    assert sorted(name for name in used if not hasattr(np, name)) == []  # CI has numpy 2


def test_promise_no_mirror_by_default():
    config = pytest.importorskip("nanodet_kp_core.config.data", reason="needs pydantic")
    assert config.PipelineConfig().flip == 0


def test_promise_ids_of_the_label_tools():
    """color * 9 + sticker, and color * 8 + type, as the tools' own pages count them."""
    ours = label_robomaster.IDS
    assert (len(ours), ours[0], ours[8], ours[9], ours[18 + 5], ours[35]) == (36, "B_G", "B_Bb", "R_G", "N_5", "P_Bb")
    theirs = py_label_robomaster.IDS
    assert (len(theirs), theirs[0], theirs[6], theirs[7], theirs[8 + 3]) == (16, "B_G", "B_O", "B_Bb", "R_3")


def test_promise_a_robot_needs_four_packages():
    lines = (ROOT / "requirements" / "runtime.txt").read_text().splitlines()
    names = [re.match(r"[A-Za-z0-9_-]+", line)[0] for line in lines if line and not line.startswith("#")]
    assert sorted(names) == ["PyYAML", "numpy", "onnxruntime", "opencv-python"]


def test_promise_no_training_framework():
    """Of those that break each year; torch is the only one."""
    lines = (ROOT / "requirements" / "train.txt").read_text().lower()
    assert not re.search(r"^(pytorch[-_]lightning|lightning|mmcv|mmdet|mmengine|detectron2|ultralytics)", lines, re.M)
    imported = set()
    for node in (node for tree in modules() for node in ast.walk(tree)):
        if isinstance(node, ast.Import):
            imported |= {one.name.partition(".")[0] for one in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add((node.module or "").partition(".")[0])
    assert {"torch", "numpy"} <= imported
    assert not imported & {"pytorch_lightning", "lightning", "mmcv", "mmdet", "mmengine", "detectron2", "ultralytics"}
