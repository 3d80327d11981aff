"""The pages say what the code does."""

from __future__ import annotations

import importlib.util
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])


def _generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


GENERATOR = _generator()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_generated_parts_are_up_to_date(page: Path) -> None:
    """Tables of errors, options and events are the code's: run ``python docs/generate.py``."""
    text = page.read_text("utf-8")
    assert GENERATOR.refreshed(text) == text


def test_every_generated_part_is_shown_somewhere() -> None:
    """No table is made for nobody."""
    shown = {
        name
        for page in PAGES
        for name in re.findall("<!-- generated: (\\S+) -->", page.read_text("utf-8"))
    }
    assert shown == set(GENERATOR.PARTS)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    """A relative link names a file that is there."""
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text("utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_code_cites_pages_and_sections_that_exist() -> None:
    """A comment that says facts §10 or R12 can be looked up."""
    cited = {
        found
        for path in (ROOT / "atxfer").rglob("*.py")
        for found in re.findall(
            r"\b(facts|design|style\.md|peers\.md) §(\d+)", path.read_text("utf-8")
        )
    }
    for name, section in cited:
        page = ROOT / "docs" / f"{name.replace('.md', '')}.md"
        assert re.search(rf"^## {section}\. ", page.read_text("utf-8"), re.MULTILINE), (
            name,
            section,
        )


def test_rules_that_the_code_cites_exist() -> None:
    """Each R number of a comment has a line of its own."""
    rules = set(re.findall(r"\*\*(R\d+)\.", (ROOT / "docs" / "peers.md").read_text("utf-8")))
    cited = {
        rule
        for path in (ROOT / "atxfer").rglob("*.py")
        for rule in re.findall(r"\bR\d{1,2}\b", path.read_text("utf-8"))
    }
    assert cited - rules == set()


def _commands(heading: str) -> list[str]:
    readme = (ROOT / "README.md").read_text("utf-8")
    block = readme.partition(f"## {heading}\n")[2].partition("```console\n")[2].partition("```")[0]
    return [line[2:] for line in block.splitlines() if line.startswith("$ ")]


def test_the_gate_runs_the_readme_s_own_command() -> None:
    """What the README tells newcomers about the tests is what is tested."""
    (command,) = _commands("Tests")
    assert shlex.split(command)[-3:] == [".venv/bin/python", "-m", "pytest"]


def test_the_readme_s_program_runs_as_it_stands(tmp_path: Path) -> None:
    """A newcomer who copies the block gets what it says."""
    readme = (ROOT / "README.md").read_text("utf-8")
    (program,) = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    (tmp_path / "README.md").write_text(readme, "utf-8")
    command = [sys.executable, "-W", "error", "-c", program]
    path = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=tmp_path, env=path, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-2].endswith(" True")
    assert (tmp_path / "copy-of-README.md").read_text("utf-8") == readme
