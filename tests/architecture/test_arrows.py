"""The shape of the code: imports follow the arrows of docs/architecture.md, and only `app` knows engines."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src" / "shortlist"
ARCHITECTURE = Path(__file__).parents[2] / "docs" / "architecture.md"
ADAPTER = re.compile(r"_(rocksdb|sql|memory|mlflow|onnx|redis|kafka|tfserving)$")
COMPOSES = {"app", "cli", "process", "facts", "__main__"}  # above the rooms: they put them together
EVERYWHERE = {
    "errors",
    "files",
    "arrays",
    "settings",
    "home",
    "progress",
    "ops",
    "database",
    "refusal",
    "singular",
}


def documented_arrows() -> dict[str, set[str]]:
    """Room → rooms it may import, from the table in docs/architecture.md."""
    rows = re.findall(
        r"^\| `(\w+)` \|[^|]*\|([^|]*)\|", ARCHITECTURE.read_text(encoding="utf-8"), re.MULTILINE
    )
    return {room: set(re.findall(r"`(\w+)`", arrows)) for room, arrows in rows}


def imports() -> Iterator[tuple[Path, str]]:
    """(file, module it imports), imports inside functions included."""
    for file in sorted(SOURCE.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("shortlist"):
                yield file, node.module
                for name in node.names:
                    if (SOURCE / Path(*node.module.split(".")[1:]) / f"{name.name}.py").exists():
                        yield file, f"{node.module}.{name.name}"
            elif isinstance(node, ast.Import):
                for name in node.names:
                    if name.name.startswith("shortlist"):
                        yield file, name.name


def room_of(file: Path) -> str:
    first = file.relative_to(SOURCE).parts[0]
    return first.removesuffix(".py")


def test_imports_follow_the_documented_arrows() -> None:
    arrows = documented_arrows()
    wrong = set()
    for file, module in imports():
        room, parts = room_of(file), module.split(".")
        if len(parts) < 2 or room in COMPOSES:
            continue
        target = parts[1]
        if target != room and target not in EVERYWHERE | arrows.get(room, set()):
            wrong.add(f"{file.relative_to(SOURCE)} imports {module}")
    assert not wrong, "\n".join(sorted(wrong))


def test_every_room_stands_in_the_architecture_page() -> None:
    rooms = {folder.name for folder in SOURCE.iterdir() if (folder / "__init__.py").exists()} - {"app", "cli"}
    assert rooms == set(documented_arrows()) - {"app", "cli"}


def test_only_the_composition_root_imports_adapters() -> None:
    wrong = {
        f"{file.relative_to(SOURCE)} imports {module}"
        for file, module in imports()
        if ADAPTER.search(module) and room_of(file) != "app"
    }
    assert not wrong, "\n".join(sorted(wrong))


@pytest.mark.parametrize(
    "word", ["utils", "util", "common", "core", "base", "helpers", "helper", "manager", "misc"]
)
def test_no_file_is_named_for_being_shared(word: str) -> None:
    assert not [file for file in SOURCE.rglob("*.py") if file.stem.strip("_") == word]
