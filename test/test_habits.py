"""Files for the code host and for editors agree with what the tools and the metadata say."""

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def supported() -> list[str]:
    """The Python versions of tools/check_python.py: "3.10" and so on."""
    text = (ROOT / "tools" / "check_python.py").read_text()
    oldest, newest = re.search(r"OLDEST, NEWEST = \(3, (\d+)\), \(3, (\d+)\)", text).groups()
    return [f"3.{minor}" for minor in range(int(oldest), int(newest) + 1)]


def matrices(key: str) -> list[list[str]]:
    jobs = [job for path in WORKFLOWS for job in yaml.safe_load(path.read_text())["jobs"].values()]
    return [job["strategy"]["matrix"][key] for job in jobs if key in job.get("strategy", {}).get("matrix", {})]


def test_the_workflows_cover_every_supported_python():
    assert matrices("python") == [supported()] * 2  # tests, and the wheel
    text = (ROOT / "pyproject.toml").read_text()
    assert re.findall(r"Python :: (3\.\d+)", text) == supported()
    assert f'requires-python = ">={supported()[0]}"' in text


def test_the_workflows_cover_the_ros_distributions_of_the_readme():
    named = re.search(r"With ROS 2 (.*?) installed", (ROOT / "README.md").read_text())[1]
    assert [re.findall(r"[a-z]+", named.lower().replace(" or ", " "))] == matrices("distribution")


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_may_only_read(path):
    assert yaml.safe_load(path.read_text())["permissions"] == {"contents": "read"}


def test_pre_commit_runs_what_make_lint_runs():
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"][0]["hooks"]
    lint = re.search(r"\nlint:.*?\n\n", (ROOT / "Makefile").read_text(), re.DOTALL)[0]
    for hook in hooks:
        tool = hook["entry"].split("/")[-1].removeprefix("python -m ").split(" --")[0]  # "ruff check", "lint-imports"
        assert tool in lint, hook["id"]
    assert sum(lint.count(tool) for tool in ("ruff", "mypy", "lint-imports", "codespell")) == len(hooks)


def test_on_each_distribution_make_test_installs_what_it_runs_with():
    """`make test ROS=jazzy` has requirements of its own; the options of pytest are the same."""
    needs = re.findall(r"^TEST_NEEDS := (.*)", (ROOT / "Makefile").read_text(), re.MULTILINE)
    pins = [
        re.findall(r"^pytest-xdist==.*", "\n".join((ROOT / n).read_text() for n in line.split()), re.M)
        for line in needs
    ]
    assert len(pins) == 2 and pins[0] == pins[1] and len(pins[0]) == 1


def test_the_changelog_starts_with_what_is_not_released():
    headings = re.findall(r"^## (.*)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert headings[0] == "[Unreleased]"
    assert all(re.fullmatch(r"\[\d+\.\d+\.\d+\] - \d{4}-\d\d-\d\d", heading) for heading in headings[1:])


def test_no_file_ends_a_line_with_spaces():
    """As .editorconfig says; checked for what ruff does not see."""
    kinds = ("*.md", "*.yaml", "*.yml", "*.cff", "*.toml", "*.xml", "*.txt")
    folders = (ROOT, *(ROOT / name for name in ("docs", "config", "launch", "msg", "requirements", ".github")))
    files = [path for folder in folders for kind in kinds for path in folder.glob(kind)]
    assert len(files) > 30
    for path in files:
        text = path.read_bytes().decode()
        assert not re.search(r"[ \t]+$", text, re.MULTILINE) and text.endswith("\n"), path
