"""The text of files in the encodings that editors write."""

from __future__ import annotations

import codecs
import re

_MARKS = {  # that of UTF-32 begins as that of UTF-16 does
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_DECLARED = re.compile(rb"""(?:\xef\xbb\xbf)?\s*<\?xml[^>]*?encoding\s*=\s*["']([A-Za-z0-9._-]+)""")


def decoded(data: bytes) -> str | None:
    """The text of bytes in UTF-8, UTF-16, UTF-32 with its mark, or GB18030 (with it GBK, GB2312); None for no text.

    Line ends become single ones. UTF-8 is tried first: two bytes of GBK alone can be one of its letters. UTF-16 without
    its mark is known by the zero bytes beside Latin letters.
    """
    marked = next((encoding for mark, encoding in _MARKS.items() if data.startswith(mark)), None)
    marked = marked or _utf16_without_mark(data)
    for encoding in (marked,) if marked else ("utf-8", "gb18030"):
        try:
            return data.decode(encoding).replace("\r\n", "\n").replace("\r", "\n")
        except UnicodeDecodeError:
            continue
    return None


def xml_text(data: bytes) -> str | None:
    """The same for XML, which may declare its encoding: GB2312 and its relatives, UTF-8 or none are decoded.

    None for an encoding that is left to the parser (it knows those of single bytes), and for no text.
    """
    found = _DECLARED.match(data[:256])
    declared = found[1].decode("ascii").lower() if found else "utf-8"
    if declared.startswith("gb") or declared == "cp936":
        try:
            return data.decode("gb18030")
        except UnicodeDecodeError:  # what it declares is wrong
            return decoded(data)
    return decoded(data) if declared in ("utf-8", "utf8") else None


def _utf16_without_mark(data: bytes) -> str | None:
    head = data[:256]
    even, odd = head[::2].count(0), head[1::2].count(0)
    if len(data) % 2 or max(even, odd) <= len(head) // 4 or min(even, odd):
        return None
    return "utf-16-be" if even else "utf-16-le"
