"""Run the drills that stop at one very step each, and count them by the number of what they are about."""

import re
import subprocess
import sys
import tempfile
from collections import Counter
from xml.etree import ElementTree

from tests.drills.scanning import PROJECT

FOLDER = "tests/drills/acknowledged"
NUMBER = re.compile(r"test_(\d\d)_")


def run() -> int:
    """Run them, print tried and survived for each number; return 1 if any failed."""
    with tempfile.NamedTemporaryFile(suffix=".xml") as report:
        words = [sys.executable, "-m", "pytest", "-q", FOLDER, f"--junitxml={report.name}", "-p", "no:cacheprovider"]
        code = subprocess.run(words, cwd=PROJECT, check=False).returncode
        tried, survived = Counter[str](), Counter[str]()
        for case in ElementTree.parse(report.name).iter("testcase"):
            match = NUMBER.search(f"{case.get('classname')}.{case.get('name')}")
            number = match[1] if match else "--"
            tried[number] += 1
            survived[number] += all(case.find(word) is None for word in ("failure", "error", "skipped"))
    print(f"\n{'point':8} {'tried':>7} {'survived':>9}")
    for number in sorted(tried):
        print(f"{number:8} {tried[number]:7} {survived[number]:9}")
    return 1 if code not in (0, 5) else 0
