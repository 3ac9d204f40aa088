"""A Chinese page has the code, the links and the numbers of its English twin: what a translation must not change."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGES = {
    ROOT / "README.zh-CN.md": ROOT / "README.md",
    **{path: ROOT / "docs" / path.name for path in sorted((ROOT / "docs" / "zh").glob("*.md"))},
}
"""Each Chinese page, and the English one that it translates."""
TWINS = {twin: page for page, twin in PAGES.items()}

_FENCE = re.compile(r"^```(\S*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^)#\s]*)(#[^)\s]*)?\)")
_NUMBER = re.compile(r"(?<!\w)[-+]?\.?\d[\d.,]*(?<![.,])")

both = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())


def code(text: str) -> list[tuple[str, list[str]]]:
    """Language and lines of each block; comments are prose, and are translated."""
    return [
        (language, [re.sub(r"(^|\s)# .*", "", line).rstrip() for line in block.splitlines()])
        for language, block in _FENCE.findall(text)
    ]


def links(page: Path) -> list[tuple[Path, str]]:
    """Files and anchors that a page links to, those of translations as their English twins, without the page's own."""
    text = _FENCE.sub("", page.read_text(encoding="utf-8"))
    targets = [((page.parent / name).resolve() if name else page, anchor) for name, anchor in _LINK.findall(text)]
    english = [(PAGES.get(path, path), anchor) for path, anchor in targets]
    return sorted(target for target in english if target[0] != PAGES.get(page, page))


def table_numbers(text: str) -> list[list[str]]:
    rows = [line for line in text.splitlines() if line.startswith("|")]
    return [sorted(_NUMBER.findall(re.sub(r"\]\([^)]*\)", "]", row))) for row in rows]


def test_the_pages_are_there():
    assert {page.name for page in PAGES} >= {"README.zh-CN.md", "own_data.md", "first_robot.md"}
    assert all(twin.is_file() for twin in PAGES.values())


@both
def test_the_code_is_the_same(page):
    chinese, english = (code(path.read_text(encoding="utf-8")) for path in (page, PAGES[page]))
    assert english and chinese == english


@both
def test_the_links_are_the_same(page):
    assert links(page) == links(PAGES[page])
    assert all(path.exists() for path, _ in links(page))


@both
def test_the_tables_have_the_same_numbers(page):
    chinese, english = (table_numbers(path.read_text(encoding="utf-8")) for path in (page, PAGES[page]))
    assert chinese == english


@both
def test_the_pages_link_to_each_other(page):
    for here, there in ((page, PAGES[page]), (PAGES[page], page)):
        head = "".join(here.read_text(encoding="utf-8").splitlines(keepends=True)[:5])
        assert there in [(here.parent / name).resolve() for name, _ in _LINK.findall(head)], here


@both
def test_a_chinese_page_links_to_chinese_pages(page):
    """Where there is one."""
    text = page.read_text(encoding="utf-8")
    linked = [(page.parent / name).resolve() for name, _ in _LINK.findall("\n".join(text.splitlines()[5:]))]
    assert not [path for path in linked if path in TWINS]


def test_a_changed_command_is_seen():
    page = (ROOT / "README.md").read_text(encoding="utf-8")
    assert code(page) == code(page.replace("# in a clone; needs neither", "# 不需要"))
    assert code(page) != code(page.replace("--json out.json", "--json other.json"))
    assert table_numbers(page) != table_numbers(page.replace(".951", ".952"))
