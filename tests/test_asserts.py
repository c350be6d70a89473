"""Asserts say what must be so; they may be left out (`python -O`), and so none of them does work."""

from __future__ import annotations

import ast
from pathlib import Path

import purport

PURE = frozenset(("isinstance", "len", "all", "any"))


def called(node: ast.AST) -> str:
    return ast.unparse(node.func) if isinstance(node, ast.Call) else ""


def test_no_assert_does_work() -> None:
    found = [
        f"{path.name}:{node.lineno}: {ast.unparse(node)}"
        for path in Path(purport.__file__).parent.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Assert) and any(called(part) not in PURE | {""} for part in ast.walk(node.test))
    ]
    assert not found
