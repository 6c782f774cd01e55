"""docs/reference/privacy.md has every column, table, cookie, bucket and log field."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

import app.audit.models
import app.categories.models
import app.core.write_path.idempotency
import app.core.write_path.outbox
import app.inquiries.models
import app.members.models
import app.posts.models
import app.previews.models
import app.redirects.models
import app.uploads.models  # noqa: F401 - its tables are known then.
from app.auth import cookies
from app.core.database.engine import Base
from app.core.observability import metrics
from support.stack import BE_APP

ROOT = BE_APP.parent
PAGE = ROOT / "docs" / "reference" / "privacy.md"
TERRAFORM = ROOT / "terraform"


@pytest.fixture(scope="module")
def sections() -> dict[str, str]:
    heading, found = "", dict[str, str]()
    for line in PAGE.read_text("utf-8").splitlines():
        if line.startswith("## "):
            heading = line.removeprefix("## ")
        found[heading] = found.get(heading, "") + line + "\n"
    return found


def first_cells(section: str) -> Iterator[str]:
    for line in section.splitlines():
        if line.startswith("| `"):
            yield line.split("|")[1].strip()


def quoted(text: str) -> set[str]:
    return set(re.findall(r"`([^`]+)`", text))


def test_every_column_is_listed_once(sections: dict[str, str]) -> None:
    personal, _, rest = sections["Database"].partition("Columns without personal data:")
    listed = [name for cell in first_cells(personal) for name in quoted(cell)]
    for line in rest.splitlines():
        if line.startswith("| `"):
            _, table, columns, _ = line.split("|")
            listed += [f"{table.strip(' `')}.{column}" for column in quoted(columns)]
    assert len(listed) == len(set(listed))
    assert set(listed) == {
        f"{table.name}.{c.name}" for table in Base.metadata.sorted_tables for c in table.columns
    }


def test_every_table_of_dynamodb_is_listed(sections: dict[str, str]) -> None:
    tables = yaml.safe_load((TERRAFORM / "tables.yaml").read_text("utf-8"))
    assert {cell.strip("`") for cell in first_cells(sections["DynamoDB"])} == set(tables)


def test_every_cookie_is_listed(sections: dict[str, str]) -> None:
    known = {
        v for v in vars(cookies).values() if isinstance(v, str) and v.startswith(("__Host-", "__Secure-"))
    }
    assert {cell.strip("`") for cell in first_cells(sections["Cookies"])} == known


def test_every_bucket_is_listed(sections: dict[str, str]) -> None:
    (kinds,) = re.findall(
        r"bucket_names\s*= \{ for kind in \[(.+?)\]", (TERRAFORM / "names.tf").read_text("utf-8")
    )
    assert {cell.strip("`") for cell in first_cells(sections["S3"])} == set(re.findall(r'"(\w+)"', kinds))


def logged_fields() -> Iterator[str]:
    for source in (BE_APP / "app").rglob("*.py"):
        for node in ast.walk(ast.parse(source.read_text("utf-8"))):
            if isinstance(node, ast.Call):
                yield from _fields_of(node)
            elif isinstance(node, ast.Subscript) and re.fullmatch(r"fields\['\w+'\]", ast.unparse(node)):
                yield ast.literal_eval(node.slice)
    api = (TERRAFORM / "apigateway.tf").read_text("utf-8")
    (line,) = re.findall(r"format = jsonencode\(\{(.+?)\}\)", api, re.DOTALL)
    yield from re.findall(r"(\w+)\s*= \"\$context", line)


def _fields_of(call: ast.Call) -> Iterator[str]:
    for given in call.keywords:
        if given.arg == "extra" and isinstance(given.value, ast.Dict):
            yield from (str(key.value) for key in given.value.keys if isinstance(key, ast.Constant))
    if ast.unparse(call.func) == "metrics.note":
        yield ast.literal_eval(call.args[0])


def test_every_log_field_is_listed(sections: dict[str, str]) -> None:
    """Fields that every line has are those of the formatter; metrics are numbers and have a page of their own."""
    formatter = {
        "timestamp",
        "level",
        "message",
        "location",
        "service",
        "exception",
        "exception_name",
        "correlation_id",
    }
    known = set(logged_fields()) | formatter
    listed = quoted(sections["Logs"]) - {"log_retention_days", "flow_logs"}
    assert listed == known - metrics.BY_SERVICE.keys()


def test_the_page_is_linked_from_the_list_of_documents() -> None:
    assert f"reference/{PAGE.name}" in Path(ROOT, "docs", "README.md").read_text("utf-8")
