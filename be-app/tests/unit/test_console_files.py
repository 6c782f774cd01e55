"""The console's sources: what browsers get of them, and the texts that people read."""

import gzip
import json
import re
from collections import Counter

import pytest

from app.console import files
from app.core.settings import settings
from app.posts.schemas import PostUpdate

HERE = files._HERE
SOURCES = [p for p in HERE.rglob("*.js") if p.parent.name != "client" and p.name != "ko.js"]
LITERAL = re.compile(r'"((?:[^"\\]|\\.)*)"')
TRANSLATED = re.compile(r'\bt\("((?:[^"\\]|\\.)*)"')
NO_TEXT = {
    *("AbortError", "NotAllowedError", "Asia/Seoul", "Enter", "FamilyCorp", "Files"),
    *("Android", "Chrome", "Edg", "Edge", "Firefox", "Linux", "Mac OS", "Safari", "Samsung Internet"),
    *("SamsungBrowser", "Whale", "Windows"),
}
"""Literals that begin like a sentence, and are names of the browser's or the product's."""


def catalogue() -> dict[str, str]:
    found = re.findall(
        r'^  ("(?:[^"\\]|\\.)*"): ("(?:[^"\\]|\\.)*"),$', (HERE / "ko.js").read_text(), re.MULTILINE
    )
    return {json.loads(english): json.loads(korean) for english, korean in found}


def test_every_text_is_in_both_languages() -> None:
    korean = catalogue()
    assert len(korean) > 50
    used = {text for path in SOURCES for text in LITERAL.findall(path.read_text())}
    translated = {text for path in SOURCES for text in TRANSLATED.findall(path.read_text())}
    shown = {
        text for text in used if re.match(r"[A-Z{][^\"]*[a-z]", text) and not re.search(r"[<>=]|\.js$", text)
    }
    assert (shown | translated) - set(korean) - NO_TEXT == set(), "texts without a Korean one"
    assert set(korean) - used == set(), "Korean texts that nothing shows"
    for english, text in korean.items():
        assert re.search("[가-힣]", text), english
        assert set(re.findall(r"\{\w+\}", english)) == set(re.findall(r"\{\w+\}", text)), english


def test_the_script_is_one_module_without_imports() -> None:
    script = files.joined(HERE / "main.js")
    assert not re.search(r"^(?:import|export) ", script, re.MULTILINE)
    for path in HERE.rglob("*.js"):
        last = path.read_text().splitlines()[-1].removeprefix("export ")
        assert last in script, path
    assert len(gzip.compress(script.encode())) < 100_000
    names = re.findall(r"^(?:async )?(?:class|const|function|let) (\w+)", script, re.MULTILINE)
    assert [name for name, times in Counter(names).items() if times > 1] == []


def test_the_editor_has_each_field_that_a_post_has() -> None:
    fields = re.search(
        r"^export const FIELDS = \{\n(.*?)^\};", (HERE / "fields.js").read_text(), re.DOTALL | re.MULTILINE
    )
    assert fields
    wanted = PostUpdate.model_json_schema()["properties"].keys() - {
        "translationOf"
    }  # New posts alone have it.
    assert set(re.findall(r"^  (\w+): \{", fields[1], re.MULTILINE)) == wanted


@pytest.fixture
def release() -> str:
    return files._release()


def test_answers_are_kept_for_good_under_their_own_name_alone(release: str) -> None:
    kept = files.asset("console.js", release, "gzip, br")
    assert kept.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert gzip.decompress(bytes(kept.body)) == bytes(files.asset("console.js", release, "").body)
    assert files.asset("console.js", "other", "gzip").headers["Cache-Control"] == "no-store"
    assert files.page().headers["Cache-Control"] == "no-cache"
    assert release.encode() in bytes(files.page().body)


def test_the_policy_allows_no_script_but_the_consoles_own() -> None:
    policy = files.page().headers["Content-Security-Policy"]
    assert "unsafe" not in policy
    assert "script-src 'self';" in policy
    assert (
        f"connect-src 'self' https://{settings().uploads_bucket}.s3.ap-northeast-2.amazonaws.com;" in policy
    )
