"""What the documentation says of the code's modules is true: the names exist."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
APPS = "accounts|operations|catalog|changes|exports|sync|photolala"
DOTTED = re.compile(rf"`((?:{APPS})(?:\.(?![EW]\d)\w+)+)`")
# (`photolala.E008` is the number of a system check.)
PATHS = re.compile(rf"`((?:{APPS}|tests|scripts|benchmarks)/[\w/]+\.py)`")


def is_there(name: str) -> bool:
    """Tell whether a dotted name is a module, or something that its module names."""
    module, *attributes = ROOT / name.replace(".", "/"), ""
    for _ in range(3):  # a module, its attribute, the attribute's attribute
        source = module.with_suffix(".py")
        source = source if source.is_file() else module / "__init__.py"
        if source.is_file():
            text = source.read_text()
            return all(re.search(rf"\b{attribute}\b", text) for attribute in attributes if attribute)
        attributes.append(module.name)
        module = module.parent
    return False


@pytest.mark.parametrize("page", ["README.md", *sorted(f"docs/{page.name}" for page in (ROOT / "docs").glob("*.md"))])
def test_modules_that_the_documentation_names_are_there(page):
    text = (ROOT / page).read_text()
    assert [name for name in DOTTED.findall(text) if not is_there(name)] == []
    assert [path for path in PATHS.findall(text) if not (ROOT / path).is_file()] == []


def test_a_name_that_is_not_there_is_noticed():
    assert is_there("catalog.entries.counts.bump_revision") and is_there("catalog.entries")
    assert not is_there("catalog.entries.counts.note_change") and not is_there("catalog.entries.elsewhere")
