"""How many examples Hypothesis tries: few with the suite, more with SYNC_EXAMPLES (a factor)."""

import os

from hypothesis import settings

FACTOR = int(os.environ.get("SYNC_EXAMPLES", "1"))
quick = settings(max_examples=25 * FACTOR, deadline=None)
"""For pure functions. No time limit for one example: the machine may be busy."""
