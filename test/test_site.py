"""The site: mkdocs.yml builds strictly from the pages as they are, and a fault in one of them fails the build."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("mkdocs", reason="needs mkdocs: pip install -r requirements/docs.txt")

ROOT = Path(__file__).resolve().parent.parent
FILES = ("mkdocs.yml", "LICENSE", "package.xml", "tools/site_files.py")
PAGE = "docs/python.md"


@pytest.fixture
def checkout(tmp_path):
    """The pages of the checkout and what their site is built from, to be changed."""
    pages = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.*"), ROOT / "models" / "README.md", *ROOT.glob("test/*.md")]
    for path in [*pages, *(ROOT / name for name in FILES)]:
        copy = tmp_path / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, copy)
    return tmp_path


def build(folder):
    command = [sys.executable, "-m", "mkdocs", "build", "--strict"]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)


def test_the_site_builds_without_a_warning(checkout):
    done = build(checkout)
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    site = checkout / "build" / "site"
    assert 'href="docs/node.html"' in (site / "index.html").read_text(encoding="utf-8")
    assert (site / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()
    for path in site.rglob("*.html"):
        paragraphs = re.findall(r"<p>(.*?)</p>", path.read_text(encoding="utf-8"), re.DOTALL)
        raw = [text for text in paragraphs if re.search(r"^([-*|]|\d+\.) |```", text, re.MULTILINE)]
        assert not raw, f"{path.name}: a list, table or block of code became text; a blank line before it?"
    page = (site / "test" / "promises.html").read_text(encoding="utf-8")
    assert "<ul>\n<li><code>ros/" in page, "the tests of a promise are no nested list"


DEAD = ("none.md", "node.md#none", "../none.md", "none.png", "../nanodet_kp_core", "/node.md")


def test_a_dead_link_fails_the_build(checkout):
    """All in one build, which takes seconds. Each has a warning of its own: with --strict one is enough to fail."""
    page = checkout / PAGE
    links = "".join(f"\n[a word]({target})\n" for target in DEAD)
    page.write_text(page.read_text(encoding="utf-8") + links, encoding="utf-8")
    done = build(checkout)
    assert done.returncode != 0
    warnings = [line for line in done.stderr.splitlines() if line.startswith("WARNING") and PAGE in line]
    silent = [target for target in DEAD if not any(f"'{target}'" in line for line in warnings)]
    assert not silent and len(warnings) == len(DEAD), done.stderr


def test_a_page_that_no_menu_names_fails_the_build(checkout):
    (checkout / "docs" / "new.md").write_text("# New\n", encoding="utf-8")
    done = build(checkout)
    assert done.returncode != 0
    assert "docs/new.md" in done.stderr


def test_a_menu_without_its_page_fails_the_build(checkout):
    (checkout / "docs" / "loop.md").unlink()
    done = build(checkout)
    assert done.returncode != 0
    assert "docs/loop.md" in done.stderr
