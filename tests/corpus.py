"""The corpus of real and nasty files: beside the project, or where PHOTOLALA_TEST_CORPUS says."""

import os
from pathlib import Path

import pytest

CORPUS = Path(os.environ.get("PHOTOLALA_TEST_CORPUS") or Path(__file__).resolve().parents[2] / "shared" / "corpus")
REPORTS = CORPUS / "reports"
needs_corpus = pytest.mark.skipif(not (CORPUS / "expected.json").is_file(), reason="the corpus is not here")
needs_reports = pytest.mark.skipif(not (REPORTS / "cases.json").is_file(), reason="the corpus has no reports here")
