"""Every path in the documentation exists, and so does every name that ARCHITECTURE.md refers to."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    path
    for pattern in ("*.md", "bench/*.md", "docs/*.md", "nano/*.md", "workflows/**/*.md", "js/docs/*.md")
    for path in ROOT.glob(pattern)
)
NAMES = [page.relative_to(ROOT).as_posix() for page in PAGES]
CODE = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"\]\(([^)\s#]+)[^)]*\)")
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
SUFFIXES = (".py", ".mjs", ".js", ".json", ".md", ".toml", ".yml", ".yaml", ".cjs", ".txt")
FOLDERS = {path.name for path in ROOT.iterdir() if path.is_dir()} | {"nodes", "js", "tests"}
CHANGES = 10


def looks_like_a_path(text: str) -> bool:
    """`nodes/family.py`, `js/lib`, `dev.py`; not `a/b`, `@8..12`, `*.json` or `locales/LANGUAGE/main.json`."""
    if not re.fullmatch(r"[\w.\-]+(/[\w.\-]+)*/?", text) or re.search(r"\b[A-Z]{3,}\b(?!\.md)", text):
        return False
    return text.endswith(SUFFIXES) or ("/" in text and text.split("/")[0] in FOLDERS)


def is_there(text: str, page: Path) -> bool:
    """Whether a path is one of the repository, of the page's folder, or of a folder below that; or `nodes.py`, say, of
    some folder of nodes/."""
    if any((base / text).exists() for base in (ROOT, page.parent)):
        return True
    return any(page.parent.glob(f"*/{text}")) or ("/" not in text and any((ROOT / "nodes").rglob(text)))


def missing(page: Path, text: str) -> list[str]:
    """Paths in backticks and link targets that do not exist."""
    plain = FENCE.sub("", text)
    paths = [path for path in CODE.findall(plain) if looks_like_a_path(path)]
    links = [target for target in LINK.findall(plain) if "://" not in target]
    return [path for path in [*paths, *links] if not is_there(path, page)]


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_every_path_is_there(page):
    assert missing(page, page.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("`nodes/server.py`", ["nodes/server.py"]),
        ("`nodes/extension.py` and `dev.py` and `js/lib`", []),
        ("`js/nothing/`", ["js/nothing/"]),
        ("[a table](tests/comfy/gone.py)", ["tests/comfy/gone.py"]),
        ("`add/subtract`, `vec/0`, `*.json`, `@8..12`, `locales/LANGUAGE/main.json`", []),
        ("```\nnodes/gone.py\n```", []),
    ],
)
def test_a_wrong_path_is_found(text, found):
    assert missing(ROOT / "README.md", text) == found


# ---- ARCHITECTURE.md


def table(text: str, heading: str) -> list[list[str]]:
    """The cells of the first table under a heading, row by row, without its head."""
    section = text.split(f"\n## {heading}")[1].split("\n## ")[0]
    rows = [line.strip().strip("|").split("|") for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row] for row in rows[2:]]


def architecture(heading: str) -> list[list[str]]:
    return table((ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8"), heading)


def defines(source: str, name: str) -> bool:
    """Whether a Python or JavaScript source defines the name at its top level."""
    keyword = rf"^(?:export )?(?:async )?(?:class|def|function|const|let) (?:\[[^\]]*)?\b{name}\b"
    assigned = rf"^(?:\w+, )*{name}\b[^=(\n]*="
    return re.search(f"{keyword}|{assigned}", source, re.MULTILINE) is not None


CHANGE_ROWS = architecture("Where do I change")


def test_the_table_has_the_typical_changes():
    assert len(CHANGE_ROWS) >= CHANGES


@pytest.mark.parametrize("row", CHANGE_ROWS, ids=lambda row: row[0])
def test_what_a_change_needs_is_where_the_table_says(row):
    _, files, names, tests = row
    paths = CODE.findall(files)
    assert paths and CODE.findall(tests)
    sources = {path: (ROOT / path).read_text("utf-8") for path in paths if (ROOT / path).is_file()}
    for path in [*paths, *CODE.findall(tests)]:
        assert (ROOT / path).exists(), f"ARCHITECTURE.md names {path}, which is not there"
    for path, source in sources.items():
        for name in CODE.findall(names):
            assert defines(source, name), f"ARCHITECTURE.md looks for {name} in {path}, which does not define it"


def test_an_error_s_text_is_in_the_file_that_the_table_names():
    (row,) = [row for row in CHANGE_ROWS if "has no T5" in row[0]]
    (path,) = CODE.findall(row[1])
    assert "This CLIP has no {" in (ROOT / path).read_text("utf-8")


def test_every_folder_of_nodes_is_listed():
    listed = {cells[0].strip("`").rstrip("/") for cells in architecture("Folders of `nodes/`")}
    folders = {path.parent.relative_to(ROOT).as_posix() for path in (ROOT / "nodes").rglob("*.py")} - {"nodes"}
    files = {path.relative_to(ROOT).as_posix() for path in (ROOT / "nodes").glob("*.py")} - {"nodes/__init__.py"}
    assert listed == folders | files


def test_the_floors_are_those_that_are_checked():
    from .test_architecture import FLOORS

    assert [set(cells[1].split(", ")) for cells in architecture("Floors")] == FLOORS
