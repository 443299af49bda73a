"""The list of problem types: every code in the source is in it, nothing else is, and the page shows it."""

import ast
from collections.abc import Iterator
from pathlib import Path

from photolala.web.problem_types import TYPES, as_markdown, problem_body

REPOSITORY = Path(__file__).resolve().parents[2]
APPS = ("photolala", "accounts", "operations", "catalog/api", "catalog", "exports", "sync/server", "sync/api")
RAISED = {
    *("BadRequest", "Conflict", "NotThere", "SignInRefused", "TooLarge", "TooManyRequests", "Unavailable"),
    *("ConflictRefused", "NotThisDevice", "ScopeEnded", "StartOver"),
    *("Unprocessable", "UploadRefused", "BadUpload", "ExportRefused", "Outage", "problem", "Refused", "SettingRefused"),
}
BY_THE_FRAMEWORK = {
    *("authentication_failed", "method_not_allowed", "parse_error", "permission_denied", "unsupported_media_type"),
}
PURE = {"media", "sources", "snapshots", "ledger"}
"""Folders whose classes of the same names never become answers."""


def codes() -> Iterator[tuple[str, str]]:
    """Give (code, place) for every problem in the source that is made with a code, and for the classes' own codes."""
    for app in APPS:
        for path in (REPOSITORY / app).rglob("*.py"):
            if PURE & set(path.parts) or "migrations" in path.parts:
                continue
            for node in ast.walk(ast.parse(path.read_text())):
                place = f"{path.relative_to(REPOSITORY)}:{getattr(node, 'lineno', 0)}"
                if isinstance(node, ast.Call) and _name(node.func) in RAISED:
                    texts = [one.value for one in node.args[_sentence_first(node) :] if isinstance(one, ast.Constant)]
                    yield from (
                        (text, place) for text in texts if isinstance(text, str) and text.replace("_", "a").isalnum()
                    )
                elif isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(node.value, ast.Constant):
                    target = node.targets[0] if isinstance(node, ast.Assign) else node.target
                    if _name(target) == "default_code" and path.name == "refusals.py":
                        yield str(node.value.value), place


def _sentence_first(node: ast.Call) -> int:
    """Return where the sentence stands; one class names the field before it."""
    return 1 if _name(node.func) == "SettingRefused" else 0


def _name(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def test_every_code_in_the_source_is_listed() -> None:
    missing = sorted({f"{code} ({place})" for code, place in codes() if code not in TYPES and " " not in code})
    assert not missing, "\n".join(missing)


def test_nothing_is_listed_that_never_comes() -> None:
    source = {code for code, _ in codes()} | BY_THE_FRAMEWORK | {"export_refused"}
    assert sorted(TYPES.keys() - source) == []


def test_the_page_shows_the_list() -> None:
    assert as_markdown() in (REPOSITORY / "docs" / "problems.md").read_text()


def test_a_problem_has_the_title_of_its_type() -> None:
    body = problem_body(409, "Cancel it first.", "at_work", operation=None)
    assert body == {
        "type": "urn:photolala:problem:at_work",
        "title": "It is at work; cancel that first",
        "status": 409,
        "detail": "Cancel it first.",
    }
    assert problem_body(404, "Nothing.")["type"] == "about:blank"
