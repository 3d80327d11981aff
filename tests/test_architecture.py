"""The floors of the house: which module may import which, and how large each may grow.

The table is the plan of ``docs/architecture.md``. A module's imports are read from its source, so
that an import within a function counts as well.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

import pytest

ROOT = Path(__file__).resolve().parent.parent / "atxfer"

GROUND = ("_buffers", "errors", "model", "waiting", "config")

# What each floor may import of ours, besides itself. An arrow points only downwards.
FLOORS: dict[str, tuple[str, ...]] = {
    "_version": (),
    "_buffers": (),
    "errors": (),
    "model": ("_buffers", "errors"),
    "waiting": ("errors",),
    "config": ("errors",),
    "atprotocol": ("errors",),
    "_disk": (),
    "_policy": ("errors", "stores.base"),
    "_observe": ("errors", "model", "waiting"),
    "_crypto": ("_buffers", "errors", "atprotocol", "_disk"),
    "_format": ("_buffers", "errors", "model", "_crypto"),
    "_net": ("errors", "waiting", "config", "atprotocol"),
    "stores": (),
    "stores.base": ("_buffers", "errors", "model", "waiting"),
    "stores.atpublic": (
        *GROUND,
        *("stores.base", "stores.atserver", "stores.http", "_net", "atprotocol"),
    ),
    "stores.answers": ("errors", "stores.base", "_net.records", "atprotocol"),
    "stores.atserver": (*GROUND, "stores.base", "stores.answers", "_net", "atprotocol"),
    "stores.tus": (*GROUND, "stores.base", "stores.http", "stores.options"),
    "stores.http": ("_buffers", "errors", "waiting", "config", "_net", "_version"),
    "stores.http.reading": ("_buffers", "errors", "model", "waiting", "stores.base", "stores.http"),
    "stores.web": (*GROUND, "stores.base", "stores.http"),
    "stores.options": ("config",),
    "stores.opening": (
        *GROUND,
        *("stores.base", "stores.http", "stores.s3", "stores.tus", "stores.options"),
    ),
    "stores.s3": (*GROUND, "stores.base", "stores.http"),
    "stores.attalk": (
        *GROUND,
        *("stores.base", "stores.answers", "_net", "atprotocol", "_format", "_crypto"),
    ),
    "_catalog": ("errors", "model", "waiting", "_net", "atprotocol", "_crypto", "_format"),
    "_engine": (*GROUND, "stores.base", "_policy", "_observe", "_disk"),
    "_operations": (
        *GROUND,
        *("_engine", "_policy", "_observe", "stores", "_catalog", "_disk"),
        *("_format", "_net", "_crypto", "atprotocol"),
    ),
    "client": (
        *GROUND,
        *("_operations", "_engine", "_observe", "_format", "_crypto", "atprotocol"),
        "stores.options",
    ),
    "doctor": (*GROUND, "_net", "_crypto", "atprotocol"),
    "_onboarding": (*GROUND, "_net", "_crypto", "atprotocol"),
    "onboarding": ("_onboarding", *GROUND, "_net", "_crypto", "atprotocol"),
    "devserver": ("errors", "atprotocol", "_crypto.primitives"),
    "testing": ("devserver",),
    "prometheus": ("_observe.prometheus",),
    "_cli": ("__init__", "client", "doctor", "onboarding", "devserver", *GROUND, "_version"),
    "__main__": ("_cli",),
}

# Single arrows beside the table, and why.
EXCEPTIONS = {
    ("devserver", "_crypto.atkeys"): "it makes the keys of its atSigns and writes their files",
    ("devserver", "_format.base2e15"): "by HTTP it gives binary values as bytes, as real ones do",
    ("stores.atserver", "_format.manifest"): "which knows the names of a file's keys",
}

# The package's face: its names, wherever they live, on first use. _cli imports it like any user.
FACE = "__init__"

# Packages of others, and the only modules that may name them.
FOREIGN = {
    "cryptography": ("_crypto.primitives", "devserver.tls"),
    "backoff": ("_engine.attempt",),
    "click": ("_cli",),
    "rich": ("_cli",),
    "requests": ("_net.proxy", "stores.http"),
    "urllib3": ("stores.http",),
    "botocore": ("stores.s3.aws",),
    "pytest": ("testing",),
    "prometheus_client": ("_observe.prometheus",),
}

# Imports that wait for their first use, and why.
DEFERRED = {
    "__init__": "import atxfer stays light",
    "_cli": "says what to install where click or rich is missing",
    "_operations.bulk": "the same as for the client",
    "client": "requests is heavy, and only HTTP stores need it",
    "_crypto.primitives": "Argon2id came with cryptography 44; only wrapped key files need it",
    "_net.proxy": "requests is heavy, and only its reading of the environment is wanted",
    "_observe.prometheus": "an optional package",
    "stores.s3.store": "says what to install where botocore is missing",
    "stores.atpublic": "requests is heavy, and many servers are asked by the line protocol",
    "testing": "test runs that never use the fixtures don't wait for TLS and cryptography",
}

WALL_CLOCK = {
    "stores.http": "a server may ask us to wait until some time of day",
    "waiting": "the clock itself",
    "stores.web": "an address was said to end at a time of day",
    "stores.s3.bucket": "a signature bears the time of day",
    "_engine.journals": "an upload whose time is over is forgotten",
    "_catalog.pairkeys": "a key that was set aside is named by when",
    "_operations.seen": "an entry is kept until its file ends, as the server tells it",
    "_operations.downloads": "the owner's server said when a file would end as a time of day",
    "_operations.attalk.uploads": "ids and metadata hold the time of the upload",
    "_operations.links": "the server says when a file ends as a time of day",
    "_operations.shares": "the same, and a copy says when it was made",
    "_operations.objects": "a receipt and a trailer say when the file was made",
    "_operations.leftovers": "a server says when an upload went on as a time of day",
    "_operations.cutting": "a manifest says when its file was made",
    "_operations.uploads": "a receipt says when the file ends",
}

LONGEST_MODULE = 350
LONGEST_FUNCTION = 60


@dataclass(frozen=True)
class Import:
    """One import of one module."""

    importer: str
    imported: str
    deferred: bool
    line: int

    def __str__(self) -> str:
        return f"{self.importer}:{self.line} imports {self.imported}"


def _name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)


TREES = {_name(path): ast.parse(path.read_text("utf-8")) for path in sorted(ROOT.rglob("*.py"))}


def _imports(module: str) -> Iterator[Import]:
    deferred: set[int] = set()
    for node in ast.walk(TREES[module]):
        if isinstance(node, (ast.FunctionDef, ast.Lambda)):
            deferred |= {id(inner) for inner in ast.walk(node)}
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}:{node.lineno}: write imports in full"
            whole = [f"{node.module}.{alias.name}" for alias in node.names]
            names = [name if _ours(name) in TREES else str(node.module) for name in whole]
        else:
            continue
        for name in names:
            yield Import(module, name, id(node) in deferred, node.lineno)


def _ours(name: str) -> Optional[str]:
    """Return a module's name within the package; None for a package of others."""
    if name == "atxfer":
        return FACE
    return name[len("atxfer.") :] if name.startswith("atxfer.") else None


IMPORTS = [found for module in TREES for found in _imports(module)]


def _within(module: str, floors: tuple[str, ...]) -> bool:
    return any(module == floor or module.startswith(f"{floor}.") for floor in floors)


def _floor(module: str) -> str:
    """Return the narrowest floor that a module belongs to."""
    candidates = [floor for floor in FLOORS if _within(module, (floor,))]
    assert candidates, f"{module} belongs to no floor: give it a row in the table"
    return max(candidates, key=len)


@pytest.mark.parametrize("module", [name for name in TREES if name != FACE])
def test_arrows_point_downwards(module: str) -> None:
    """A module imports its own floor and those that the table names, and nothing else of ours."""
    floor = _floor(module)
    allowed = (floor, *FLOORS[floor], *(to for start, to in EXCEPTIONS if start == floor))
    wrong = [
        str(found)
        for found in _imports(module)
        if _ours(found.imported) is not None and not _within(str(_ours(found.imported)), allowed)
    ]
    assert wrong == []


def test_the_table_names_what_exists() -> None:
    """A row for a floor that is gone would allow what nobody wants."""
    named = {name for floor, row in FLOORS.items() for name in (floor, *row)}
    named |= {name for arrow in EXCEPTIONS for name in arrow}
    assert {
        name for name in named if not any(_within(module, (name,)) for module in TREES)
    } == set()


def test_no_two_modules_need_each_other() -> None:
    """There is no cycle of imports, not even one that is hidden in a function."""
    edges: dict[str, set[str]] = {module: set() for module in TREES}
    for found in IMPORTS:
        imported = _ours(found.imported)
        if imported in TREES and found.importer != FACE and imported != FACE:
            edges[found.importer].add(imported)
    while edges:
        leaves = {module for module, needs in edges.items() if not needs}
        assert leaves, f"these need each other: {sorted(edges)}"
        edges = {m: needs - leaves for m, needs in edges.items() if m not in leaves}


def test_imports_stand_at_the_top() -> None:
    """An import within a function hides what a module needs; each exception has its reason."""
    deferred = [f for f in IMPORTS if f.deferred and f.importer not in DEFERRED]
    assert [str(found) for found in deferred] == []


@pytest.mark.parametrize("package", sorted(FOREIGN))
def test_a_foreign_package_has_one_home(package: str) -> None:
    """What others wrote is wrapped in one place, and can be replaced there."""
    wrong = [
        str(found)
        for found in IMPORTS
        if found.imported.split(".")[0] == package and not _within(found.importer, FOREIGN[package])
    ]
    assert wrong == []


def _names(module: str) -> Iterator[tuple[str, int]]:
    """Yield every name and dotted name that a module uses, with its line."""
    for node in ast.walk(TREES[module]):
        if isinstance(node, ast.Name):
            yield node.id, node.lineno
        elif isinstance(node, ast.Attribute):
            yield ast.unparse(node), node.lineno


def _users(forbidden: set[str], exempt: tuple[str, ...]) -> list[str]:
    return [
        f"{module}:{line} uses {name}"
        for module in TREES
        if not _within(module, exempt)
        for name, line in _names(module)
        if name in forbidden
    ]


def test_only_the_command_line_prints() -> None:
    """A library speaks by return values, errors and logging."""
    assert _users({"print", "sys.stdout", "sys.stderr"}, ("_cli",)) == []


def test_only_one_module_waits() -> None:
    """Everything that blocks on time does so where cancellation and deadlines end it."""
    assert _users({"time.sleep"}, ()) == []
    clocks = {"time.monotonic", "time.perf_counter"}
    assert _users(clocks, ("waiting", "devserver")) == []


def test_the_wall_clock_is_not_for_measuring() -> None:
    """Each use of the time of day has its reason; durations are monotonic."""
    assert _users({"time.time"}, (*WALL_CLOCK, "devserver")) == []


def _code_lines(node: ast.AST) -> int:
    """Return the lines that hold code: no blanks, comments or docstrings."""
    lines: set[int] = set()
    for inner in ast.walk(node):
        if isinstance(inner, ast.Expr) and isinstance(inner.value, ast.Constant):
            continue
        if isinstance(inner, (ast.stmt, ast.expr)) and not _is_text(inner):
            lines |= {inner.lineno, inner.end_lineno or inner.lineno}
    return len(lines)


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str) and "\n" in node.value


def test_no_module_is_too_long() -> None:
    """Above so many lines of code, a module has more than one subject."""
    sizes = {module: _code_lines(tree) for module, tree in TREES.items()}
    assert {name: size for name, size in sizes.items() if size > LONGEST_MODULE} == {}


def test_no_function_is_too_long() -> None:
    """A function fits on a screen."""
    sizes = {
        f"{module}.{node.name}": _code_lines(node)
        for module, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
    }
    assert {name: size for name, size in sizes.items() if size > LONGEST_FUNCTION} == {}


def test_nothing_is_left_for_later() -> None:
    """Words that promise to finish something another day are no part of a release."""
    words = ("TO" + "DO", "FIX" + "ME", "XX" + "X", "NotImplemented", "for n" + "ow", "st" + "ub")
    found = [
        f"{path.name}: {word}"
        for path in sorted(ROOT.rglob("*.py"))
        for word in words
        if word in path.read_text("utf-8")
    ]
    assert found == []
