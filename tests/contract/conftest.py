"""The cast of the API's tests, for the tests of its contract."""

from tests.api.conftest import alice, anonymous, bob, cast, charlie, clean_cache

__all__ = ["alice", "anonymous", "bob", "cast", "charlie", "clean_cache"]
