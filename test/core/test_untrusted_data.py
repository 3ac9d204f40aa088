"""Nothing that the program reads can make it run code: no pickles, no YAML objects, no shell.

What a file can claim is fuzzed in test/fuzz; that a pickle's code does not run is in test/model/test_import.py.
"""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("nanodet_kp_core", "nanodet_kp_ros", "training", "launch", "benchmark", "tools")

RUN_CODE = {
    "eval", "exec", "os.system", "os.popen", "torch.hub.load",
    *(f"yaml.{name}" for name in ("load_all", "unsafe_load", "unsafe_load_all", "full_load", "full_load_all")),
    *(f"yaml.{name}" for name in ("Loader", "UnsafeLoader", "FullLoader", "CLoader")),
}  # fmt: skip
PICKLES = ("pickle", "_pickle", "dill", "joblib", "cloudpickle", "shelve", "marshal")
HARMLESS = ("pickle.UnpicklingError",)


def sources():
    return sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))


def faults(text):
    """(line, what) of everything in a Python file that could run what it reads."""
    tree = ast.parse(text)
    names = imported(tree)
    safe = {
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
        and {"yaml.SafeLoader", "yaml.CSafeLoader"} & {full(b, names) for b in node.bases}
    }
    for node in ast.walk(tree):
        name = full(node, names)
        if name in RUN_CODE or (name.split(".")[0] in PICKLES and name not in HARMLESS and "." in name):
            yield node.lineno, name
        if not isinstance(node, ast.Call):
            continue
        called = full(node.func, names)
        keywords = {word.arg: word.value for word in node.keywords}
        if called == "torch.load" and not is_constant(keywords.get("weights_only"), True):
            yield node.lineno, "torch.load without weights_only=True"
        if called == "numpy.load" and "allow_pickle" in keywords and not is_constant(keywords["allow_pickle"], False):
            yield node.lineno, "numpy.load with pickles"
        if "shell" in keywords and not is_constant(keywords["shell"], False):
            yield node.lineno, f"{called} through a shell"
        if called == "yaml.load":
            loader = keywords.get("Loader", node.args[1] if len(node.args) > 1 else None)
            if full(loader, names) not in ("yaml.SafeLoader", "yaml.CSafeLoader", *safe):
                yield node.lineno, "yaml.load with another loader than a safe one"


def imported(tree):
    """Name in the file -> what it stands for."""
    names = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update({one.asname: one.name for one in node.names if one.asname})
        elif isinstance(node, ast.ImportFrom):
            names.update({one.asname or one.name: f"{node.module}.{one.name}" for one in node.names})
    return names


def full(node, names):
    """ "torch.load" for an expression that means it, under whatever name it was imported; "" for all else."""
    if isinstance(node, ast.Name):
        return names.get(node.id, node.id)
    if isinstance(node, ast.Attribute) and (owner := full(node.value, names)):
        return f"{owner}.{node.attr}"
    return ""


def is_constant(node, value):
    return isinstance(node, ast.Constant) and node.value is value


@pytest.mark.parametrize("path", sources(), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_source_runs_what_it_reads(path):
    assert not list(faults(path.read_text(encoding="utf-8")))


def test_there_are_sources():
    assert len(sources()) > 100


@pytest.mark.parametrize(
    "line",
    [
        "import torch; torch.load(f)",
        "import torch; torch.load(f, weights_only=False)",
        "import torch as t; t.load(f, map_location='cpu')",
        "from torch import load; load(f)",
        "import numpy as np; np.load(f, allow_pickle=True)",
        "import numpy; numpy.load(f, allow_pickle=x)",
        "import yaml; yaml.load(f)",
        "import yaml; yaml.load(f, Loader=yaml.Loader)",
        "import yaml; yaml.unsafe_load(f)",
        "from yaml import full_load; full_load(f)",
        "import yaml\nclass Mine(yaml.UnsafeLoader): pass\nyaml.load(f, Mine)",
        "import pickle; pickle.loads(data)",
        "from pickle import loads; loads(data)",
        "import pickle; pickle.Unpickler(f).load()",
        "import joblib; joblib.load(f)",
        "eval(text)",
        "import os; os.system(text)",
        "import subprocess; subprocess.run(text, shell=True)",
    ],
)
def test_what_runs_what_it_reads_is_seen(line):
    assert list(faults(line))


@pytest.mark.parametrize(
    "line",
    [
        "import torch; torch.load(f, weights_only=True)",
        "import numpy as np; np.load(f); np.load(f, allow_pickle=False)",
        "import yaml; yaml.safe_load(f); yaml.load(f, yaml.SafeLoader)",
        "import yaml\nclass Mine(yaml.SafeLoader): pass\nyaml.load(f, Loader=Mine)",
        "import pickle\ntry: pass\nexcept pickle.UnpicklingError: pass",
        "model.eval(); subprocess.run(['ls'], shell=False)",
    ],
)
def test_what_is_safe_is_let_through(line):
    assert not list(faults(line))
