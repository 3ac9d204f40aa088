"""Hook of mkdocs: the site has the folders of the checkout, so that one relative link works on the code host and here.

Pages stand where they stand in the checkout: docs/node.md beside README.md, models/README.md and test/README.md. Files
that pages link to and that are no pages (LICENSE, package.xml) are copied as they are.
"""

import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parent.parent
PATTERNS = ("*.md", "docs/**/*", "models/README.md", "test/*.md", "LICENSE", "package.xml")

ITEM = re.compile(r"([-*]|\d+\.) ")


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Files of the theme as they are, and instead of those of docs_dir the ones of PATTERNS, at their own paths."""
    chosen = [file for file in files if file.src_dir != config.docs_dir]
    paths = sorted({path.relative_to(ROOT) for pattern in PATTERNS for path in ROOT.glob(pattern) if path.is_file()})
    chosen += [File(path.as_posix(), str(ROOT), config.site_dir, config.use_directory_urls) for path in paths]
    return Files(chosen)


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:
    """What belongs to a list item is indented by two spaces; the Markdown of mkdocs wants four."""
    lines, in_item, in_fence = markdown.split("\n"), False, False
    for i, line in enumerate(lines):
        if line.startswith("```"):
            in_item, in_fence = False, not in_fence
        elif ITEM.match(line):
            in_item = not in_fence
        elif line.startswith("  ") and in_item:
            lines[i] = "  " + line
        elif line:
            in_item = False
    return "\n".join(lines)
