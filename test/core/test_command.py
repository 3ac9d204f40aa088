"""How command lines end: a refiner that has gone, and a terminal that cannot print a name."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

DOOR = (
    "import sys; from nanodet_kp_core.command import guarded\n"
    "def main():\n"
    "    for number in range({count}): print({line})\n"
    "    return 0\n"
    "sys.exit(guarded(main, 'own', 'own: interrupted'))"
)


def run(script, **options):
    return subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, timeout=60, **options)


@pytest.mark.parametrize("count", [3, 200_000])
def test_a_closed_pipe_ends_quietly(count):
    script = DOOR.format(count=count, line="number")
    process = subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.close()
    error = process.stderr.read()
    assert process.wait(30) == 141
    assert error == b""


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_a_name_that_the_terminal_cannot_print_is_an_escape(encoding, monkeypatch):
    monkeypatch.setenv("PYTHONIOENCODING", encoding)
    done = run(DOOR.format(count=1, line="'\\u76f8\\u673a \\udcff.png'"))
    assert done.returncode == 0
    assert done.stderr == b""
    assert done.stdout.strip().endswith(b"\\udcff.png")


@pytest.mark.parametrize(
    ("action", "words"),
    [
        ("open('none/a.txt', 'w')", "own: none/a.txt: expected to read or write here, got: No such file or directory"),
        ("raise OSError(28, 'No space left on device')", "own: a file: expected to read or write here, got: No space"),
        ("raise OSError('odd')", "own: a file: expected to read or write here, got: odd"),
    ],
)
def test_what_the_system_refuses_is_one_line(action, words):
    start = "import sys; from nanodet_kp_core.command import guarded\n"
    done = run(f"{start}def main():\n    {action}\nsys.exit(guarded(main, 'own', ''))")
    assert done.returncode == 2
    assert done.stderr.decode().startswith(words) and len(done.stderr.splitlines()) == 1
