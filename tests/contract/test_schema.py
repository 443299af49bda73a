"""What the schema declares: sizes, bounds, statuses, headers, names; and that the server enforces what it declares."""

from collections.abc import Iterator
from typing import Any

import pytest

from catalog.browsing.filters import NAMES
from operations.api.results import RESULTS
from operations.kinds import KINDS
from photolala.api_urls import SchemaOnce

INT32 = range(-(2**31), 2**31)
VERBS = ("get", "head", "post", "put", "patch", "delete")
Operation = tuple[str, dict[str, Any]]


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    """The whole document."""
    return SchemaOnce(api_version="v1").get_schema(public=True)


def operations(schema: dict[str, Any]) -> Iterator[Operation]:
    """Give (verb and path, operation)."""
    for path, item in schema["paths"].items():
        for verb in VERBS:
            if verb in item:
                yield f"{verb.upper()} {path}", item[verb]


def nodes(node: Any, place: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Give (place, object) for all objects of a document."""
    if isinstance(node, dict):
        yield place, node
        for name, value in node.items():
            yield from nodes(value, f"{place}/{name}")
    elif isinstance(node, list):
        for number, value in enumerate(node):
            yield from nodes(value, f"{place}/{number}")


def requested(schema: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Give (place, schema) of everything that a client may send: parameters, and bodies with what they refer to."""
    components = schema["components"]["schemas"]
    seen: set[str] = set()

    def followed(node: Any, place: str) -> Iterator[tuple[str, dict[str, Any]]]:
        for where, one in nodes(node, place):
            yield where, one
            name = str(one.get("$ref", "")).rpartition("/")[2]
            if name and name not in seen:
                seen.add(name)
                yield from followed(components[name], name)

    for name, operation in operations(schema):
        for parameter in operation.get("parameters", []):
            yield from followed(parameter["schema"], f"{name} {parameter['in']} {parameter['name']}")
        yield from followed(operation.get("requestBody", {}).get("content", {}), f"{name} body")


def test_every_integer_says_how_large_it_may_become(schema: dict[str, Any]) -> None:
    """Kotlin, Java and Swift take 32 bits where nothing is said: files above 2.1 GB broke them."""
    wrong = []
    for place, one in nodes(schema):
        if one.get("type") != "integer":
            continue
        bounds = one.get("enum") or [one.get("minimum"), one.get("maximum")]
        is_small = all(bound is not None and bound in INT32 for bound in bounds)
        if one.get("format") != ("int32" if is_small else "int64"):
            wrong.append(place)
    assert not wrong, "\n".join(wrong)


def test_bytes_counts_offsets_and_revisions_have_64_bits(schema: dict[str, Any]) -> None:
    words = ("bytes", "count", "size", "revision", "total", "done", "duration", "offset", "photos_processed")
    found = [
        (place, one["format"])
        for place, one in nodes(schema["components"]["schemas"])
        if one.get("type") == "integer" and place.rpartition("/")[2].endswith(words)
    ]
    assert len(found) > 20
    assert [place for place, size in found if size != "int64"] == []


def test_everything_that_may_be_sent_has_bounds(schema: dict[str, Any]) -> None:
    wrong = []
    for place, one in requested(schema):
        kind, is_named = one.get("type"), "enum" in one or ("format" in one and one["format"] not in ("int32", "int64"))
        if kind == "string" and not (is_named or "maxLength" in one or "pattern" in one):
            wrong.append(f"{place}: no maxLength, pattern, format or enum")
        if kind == "integer" and "enum" not in one and not {"minimum", "maximum"} <= one.keys():
            wrong.append(f"{place}: no minimum or maximum")
        if kind == "array" and "maxItems" not in one:
            wrong.append(f"{place}: no maxItems")
        if kind == "object" and "additionalProperties" not in one:
            wrong.append(f"{place}: other members?")
    assert not wrong, "\n".join(wrong)


def test_every_kind_of_operation_has_its_params_and_its_result(schema: dict[str, Any]) -> None:
    mapping = schema["components"]["schemas"]["Operation"]["discriminator"]["mapping"]
    kinds = {name for name, kind in KINDS.items() if not kind.run.__module__.startswith("tests.")}
    assert mapping.keys() == RESULTS.keys() == kinds
    components = schema["components"]["schemas"]
    untyped = [
        (kind, member)
        for kind, place in mapping.items()
        for member in ("params", "result")
        if not str(components[place.rpartition("/")[2]]["properties"][member]).count("$ref")
    ]
    assert untyped == []


def test_the_filter_of_an_export_names_what_the_photo_list_knows(schema: dict[str, Any]) -> None:
    components = schema["components"]["schemas"]
    filters = [one["properties"]["filter"] for one in components.values() if "filter" in one.get("properties", {})]
    assert len(filters) == 2  # asked for, and told
    for one in filters:
        assert one["properties"].keys() == NAMES - {"library"}
        assert one["additionalProperties"] is False and all(one["properties"].values())


def test_new_names_say_favourite_and_former_ones_are_deprecated(schema: dict[str, Any]) -> None:
    former = [
        (place, one.get("deprecated"))
        for place, one in nodes(schema["components"]["schemas"])
        if "favor" in place.rpartition("/")[2] and "Former" not in place and "type" in one
    ]
    assert len(former) >= 8
    assert [place for place, is_deprecated in former if not is_deprecated] == []
    routes = [(name, operation.get("deprecated")) for name, operation in operations(schema) if "favor" in name]
    assert routes and all(is_deprecated for _, is_deprecated in routes)


def test_every_operation_has_a_summary_a_name_and_its_statuses(schema: dict[str, Any]) -> None:
    names = [operation["operationId"] for _, operation in operations(schema)]
    assert len(set(names)) == len(names)
    for name, operation in operations(schema):
        if name == "GET /api/v1/schema/":
            continue
        statuses = set(operation["responses"])
        assert operation["summary"], name
        assert {"400", "405", "503", "507"} <= statuses, name
        signed_in = [one for one in operation.get("security", []) if one]
        assert ("401" in statuses) or not signed_in, name
        assert ("404" in statuses) or "{" not in name, name
        assert ({"408", "413", "415"} <= statuses) or "requestBody" not in operation, name
        problems = [one for status, one in operation["responses"].items() if status >= "400" and "content" in one]
        assert all("application/problem+json" in one["content"] or "health" in name for one in problems), name


def test_files_and_uploads_declare_their_headers(schema: dict[str, Any]) -> None:
    original = schema["paths"]["/api/v1/photos/{photo_id}/original/"]["get"]
    sent = {one["name"] for one in original["parameters"] if one["in"] == "header"}
    assert sent >= {"If-None-Match", "If-Modified-Since", "Range", "If-Range"}
    assert original["responses"]["206"]["headers"].keys() >= {"ETag", "Content-Range", "Accept-Ranges"}
    creation = schema["paths"]["/api/v1/uploads/"]["post"]
    required = {one["name"] for one in creation["parameters"] if one.get("required")}
    assert required == {"Tus-Resumable", "Upload-Length", "Upload-Metadata"}
    assert creation["responses"]["201"]["headers"].keys() >= {"Location", "Upload-Expires", "Tus-Resumable"}
    assert "Retry-After" in creation["responses"]["503"]["headers"]
    assert "head" in schema["paths"]["/api/v1/uploads/{upload_id}/"]


def test_files_declare_head_beside_get_with_the_same_headers(schema: dict[str, Any]) -> None:
    files = {
        path: item
        for path, item in schema["paths"].items()
        if "get" in item and "ETag" in item["get"]["responses"].get("200", {}).get("headers", {})
    }

    assert len(files) >= 7
    for path, item in files.items():
        assert item["head"]["operationId"] == f"{item['get']['operationId']}_head", path
        assert item["head"]["responses"].keys() == item["get"]["responses"].keys(), path
        for status, answer in item["head"]["responses"].items():
            assert answer.get("headers") == item["get"]["responses"][status].get("headers"), (path, status)
            assert status not in ("200", "206", "304") or "content" not in answer, (path, status)
