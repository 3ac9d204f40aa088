"""VOC-XML with four points an object, as in the published four-point guide; one .xml file an image.

    <object>
        <name>B_3</name>
        <bndbox><xmin>10</xmin><ymin>20</ymin><xmax>60</xmax><ymax>45</ymax></bndbox>
        <points><x1>10</x1><y1>20</y1> ... <x4>60</x4><y4>20</y4></points>
    </object>

Coordinates may be whole or not; boxes are taken as they are, also where they leave the image. Ours, and skipped by
other readers: <v1>..<v4> in <points> is the visibility of a corner (2 when not given), and an object `ignore` that is
neither plate nor background. An object without <points> is a plate of which only the box is known, and one without
<bndbox> has the hull of its points. An image without an .xml file is background, unless a folder beside this one has
its .xml: then it belongs to another split.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from xml.parsers import expat
from xml.sax.saxutils import escape

from nanodet_kp_core.errors import DataError, shown
from nanodet_kp_core.labels.images import existing, files_below, image_header, image_names, name_below
from nanodet_kp_core.labels.labels import (
    MAX_SIDE,
    Fault,
    LabeledImage,
    Plate,
    corners_of_box,
    fault_of,
    hull,
    number,
    safe_name,
    whole,
    with_unlabeled,
)
from nanodet_kp_core.texts import xml_text

IGNORE = "ignore"
MAX_BYTES = 1 << 24
MAX_DEPTH = 32


@dataclass
class _Element:
    """An XML element; text is that before its first child, line where it starts."""

    tag: str
    line: int
    children: list[_Element] = field(default_factory=list)
    text: str = ""

    def child(self, tag: str) -> _Element | None:
        return next((element for element in self.children if element.tag == tag), None)

    def text_of(self, tag: str) -> str | None:
        element = self.child(tag)
        return element.text.strip() if element else None


def read(images: Path, labels: Path, faults: list[Fault]) -> list[LabeledImage]:
    """Every image with the objects of its .xml file; `labels` is the folder of these.

    Raises DataError when a folder is missing or holds nothing; what is wrong with one file goes into `faults`.
    """
    names, sheets = image_names(images), files_below(labels, (".xml",))
    if not sheets:
        raise DataError(f"{labels}: expected .xml files in the folder or below, got none")
    stems = {str(PurePosixPath(name).with_suffix("")): name for name in names}
    found = [image for sheet in sheets if (image := _read_sheet(images, labels / sheet, sheet, stems, faults))]
    found = existing(found, faults)
    described = {image.name for image in found}
    elsewhere = {path.stem for path in labels.absolute().parent.glob("*/*.xml")}
    for name in names:
        if name not in described and PurePosixPath(name).stem not in elsewhere:
            background = _background(images, name, faults)
            if background:
                found.append(background)
    return found


def _background(images: Path, name: str, faults: list[Fault]) -> LabeledImage | None:
    path = images / name
    try:
        header = image_header(path)
    except DataError as error:
        faults.append(fault_of(error))
        return None
    return LabeledImage(name, path, header.width, header.height, str(path), labeled=False)


def _read_sheet(
    images: Path, path: Path, sheet: str, stems: Mapping[str, str], faults: list[Fault]
) -> LabeledImage | None:
    """stems: names of the images by what stands before their ending. A <filename> that leads nowhere (without ending,
    with that of another copy, a path of another machine) gives way to the image of the .xml file's own name."""
    try:
        root = _parse(path)
    except DataError as error:
        faults.append(fault_of(error))
        return None
    name = name_below(images, root.text_of("filename"))
    own = stems.get(str(PurePosixPath(sheet).with_suffix("")))
    beside = str(PurePosixPath(sheet).parent / str(name))  # images in the same sub-folders as their labels
    said = PurePosixPath(str(name or "").replace("\\", "/")).stem
    there = safe_name(name) and ((images / str(name)).is_file() or (images / beside).is_file())
    if own and not there and said in ("", PurePosixPath(own).stem):
        name = own
    if not safe_name(name):
        faults.append(Fault(f"{path}:{root.line}", f"expected a <filename> below the image folder, got {shown(name)}"))
        return None
    name = str(PurePosixPath(str(name)))
    if not (images / name).is_file() and (images / beside).is_file():
        name = beside
    size = root.child("size")
    width, height = ((whole(size.text_of(tag), 0, MAX_SIDE) if size else None) for tag in ("width", "height"))
    if width == 0 and height == 0 and (images / name).is_file():  # an old LabelImg does not know it
        try:
            header = image_header(images / name)
        except DataError as error:
            faults.append(fault_of(error))
            return None
        width, height = header.width, header.height
    if not width or not height:
        where = f"{path}:{(size or root).line}"
        got = f"{shown(size.text_of('width'))} x {shown(size.text_of('height'))}" if size else "none"
        faults.append(Fault(where, f"expected a <size> with <width> and <height> of 1 to {MAX_SIDE} pixels, got {got}"))
        return None
    plates = []
    for element in root.children:
        if element.tag == "object":
            plate = _plate(element, f"{path}:{element.line}")
            if isinstance(plate, Plate):
                plates.append(plate)
            else:
                faults.append(Fault(f"{path}:{element.line}", plate))
    return LabeledImage(name, images / name, width, height, str(path), plates)


def _plate(element: _Element, where: str) -> Plate | str:
    name, frame, points = element.text_of("name"), element.child("bndbox"), element.child("points")
    if not name:
        return "expected a <name> in the <object>, got none"
    if frame is None and points is None:
        return "expected a <bndbox> or <points> in the <object>, got none"
    box = _numbers(frame, ("xmin", "ymin", "xmax", "ymax")) if frame else None
    if isinstance(box, str):
        return box
    if box is not None and (box[2] < box[0] or box[3] < box[1]):
        return f"expected xmin <= xmax and ymin <= ymax in the <bndbox>, got {', '.join(map(str, box))}"
    frame_box = (box[0], box[1], box[2], box[3]) if box else None
    if points is None:
        whole_box = frame_box or (0.0, 0.0, 0.0, 0.0)
        return Plate(where, name, corners_of_box(whole_box), whole_box, (0,) * 4, ignore=name == IGNORE)
    values = _numbers(points, tuple(f"{axis}{k}" for k in (1, 2, 3, 4) for axis in "xy"))
    if isinstance(values, str):
        return values
    visible = [whole(points.text_of(f"v{k}") or 2, 0, 2) for k in (1, 2, 3, 4)]
    if None in visible:
        return "expected a visibility <v1> to <v4> of 0, 1 or 2, got another value"
    corners, seen = tuple(zip(values[::2], values[1::2])), tuple(v or 0 for v in visible)
    frame_box = frame_box or hull(corners)
    return Plate(where, name, with_unlabeled(corners, seen, frame_box), frame_box, seen, ignore=name == IGNORE)


def _numbers(element: _Element, tags: tuple[str, ...]) -> list[float] | str:
    values = []
    for tag in tags:
        text = element.text_of(tag)
        value = number(text) if text is not None and "_" not in text else None
        if value is None:
            return f"expected a number in <{element.tag}><{tag}>, got {shown(text)}"
        values.append(value)
    return values


def _parse(path: Path) -> _Element:
    """The document as elements with their lines. A document type or an entity of its own is refused: no label tool
    writes one, and it is how a small file grows to gigabytes or reads other files."""
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise DataError(f"{path}: expected an XML file of at most {MAX_BYTES} bytes, got {size}")
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: expected an XML file, got: {error.strerror}") from None
    parser = expat.ParserCreate()
    root = _Element("", 1)
    open_elements = [root]

    def start(tag: str, _: dict[str, str]) -> None:
        if len(open_elements) > MAX_DEPTH:
            raise DataError(f"{path}:{parser.CurrentLineNumber}: expected at most {MAX_DEPTH} elements deep, got more")
        element = _Element(tag, parser.CurrentLineNumber)
        open_elements[-1].children.append(element)
        open_elements.append(element)

    def text(words: str) -> None:
        if not open_elements[-1].children:
            open_elements[-1].text += words

    def refuse(*_: object) -> None:
        raise DataError(f"{path}:{parser.CurrentLineNumber}: expected XML without a document type, got a <!DOCTYPE>")

    parser.StartElementHandler = start
    parser.EndElementHandler = lambda _: open_elements.pop()
    parser.CharacterDataHandler = text
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = refuse
    try:
        parser.Parse(xml_text(data) or data, True)
    except expat.ExpatError as error:
        raise DataError(f"{path}:{error.lineno}: expected XML, got: {expat.errors.messages[error.code]}") from None
    except (LookupError, ValueError) as error:  # an encoding that Python does not know or expat cannot take
        raise DataError(f"{path}:1: expected XML in UTF-8, got: {str(error)[:80]}; save it as UTF-8") from None
    if root.children[0].tag != "annotation":
        raise DataError(f"{path}:1: expected an <annotation>, got <{root.children[0].tag[:40]}>")
    return root.children[0]


def write(out: Path, images: Sequence[LabeledImage], class_names: Sequence[str]) -> None:
    """Write the .xml files into out/annotations; one without objects for a background image."""
    for image in images:
        path = out / "annotations" / PurePosixPath(image.name).with_suffix(".xml")
        path.parent.mkdir(parents=True, exist_ok=True)
        size = f"<width>{image.width}</width><height>{image.height}</height><depth>3</depth>"
        rows = ["<annotation>", f"\t<filename>{escape(image.name)}</filename>", f"\t<size>{size}</size>"]
        rows += [_written(plate) for plate in image.plates]
        path.write_text("\n".join([*rows, "</annotation>"]) + "\n", encoding="utf-8")


def _written(plate: Plate) -> str:
    tags = zip(("xmin", "ymin", "xmax", "ymax"), plate.box)
    box = "".join(f"<{tag}>{_digits(value)}</{tag}>" for tag, value in tags)
    rows = [f"\t\t<name>{escape(IGNORE if plate.ignore else plate.name)}</name>", f"\t\t<bndbox>{box}</bndbox>"]
    if not plate.ignore and any(plate.visible):
        words = [f"<x{k}>{_digits(x)}</x{k}><y{k}>{_digits(y)}</y{k}>" for k, (x, y) in enumerate(plate.corners, 1)]
        if set(plate.visible) != {2}:
            words += [f"<v{k}>{seen}</v{k}>" for k, seen in enumerate(plate.visible, 1)]
        rows.append(f"\t\t<points>{''.join(words)}</points>")
    return "\n".join(["\t<object>", *rows, "\t</object>"])


def _digits(value: float) -> str:
    """All digits, and no point behind a whole number: the published reader takes nothing else."""
    return str(int(value)) if value.is_integer() else repr(value)
