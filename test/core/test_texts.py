"""Text files as the editors of all systems write them."""

import codecs

import pytest

from nanodet_kp_core.texts import decoded, xml_text

TEXT = "name: 装甲_3\nnext: é\n"
ENCODINGS = ["utf-8", "utf-8-sig", "utf-16", "utf-32", "gbk", "gb18030"]


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_the_text_of_every_encoding_and_line_end(encoding, end):
    assert decoded(TEXT.replace("\n", end).encode(encoding)) == TEXT


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf16_without_its_mark(encoding):
    assert decoded("0 0.5 0.5 1 1 装甲\n".encode(encoding)) == "0 0.5 0.5 1 1 装甲\n"


@pytest.mark.parametrize(
    "data", [b"\xff\xfe\x00", b"\xff\xff\xff", codecs.BOM_UTF8 + b"\xff", b"\x81", bytes(range(128, 256))]
)
def test_what_is_no_text(data):
    assert decoded(data) is None


@pytest.mark.parametrize("data", [b"", b"a\0b", b"\0", b"a\0b\0\0c"])
def test_a_zero_alone_makes_no_utf16(data):
    assert decoded(data) == data.decode()


@pytest.mark.parametrize(
    ("declared", "written", "read"),
    [
        ("GB2312", "gb2312", True),
        ("gbk", "gbk", True),
        ("GB18030", "gb18030", True),
        ("cp936", "gbk", True),
        ("UTF-8", "utf-8-sig", True),
        ("UTF-8", "gbk", True),  # the declaration of a tool that never looked
        ("GB2312", "utf-8-sig", True),
        ("Big5", "big5", False),
        ("ISO-8859-1", "latin-1", False),
    ],
)
def test_xml_goes_by_what_it_declares(declared, written, read):
    # In GBK the bytes of the first are a letter of UTF-8 too.
    name = "模" if declared.lower().startswith("gb") else "café" if written == "latin-1" else "模型"
    text = f"<?xml version='1.0' encoding='{declared}'?><a>{name}</a>"
    assert xml_text(text.encode(written)) == (text if read else None)
