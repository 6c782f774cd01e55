"""Settings: what may run where, and messages that say how to fix a value but never show it."""

import json
import subprocess
import sys

import pytest

from app.core.settings import Settings, SettingsError
from support.stack import BE_APP

IN_AWS = {
    "DATABASE_URL": "mysql+aiomysql://app-s3cret@db.example/content",
    "CACHE_URL": "rediss://app-s3cret@cache.example/0",
    "CORS_ORIGINS": "https://www.familycorp.example",
    "API_URL": "https://api.familycorp.example",
    "OIDC_ISSUER": "https://login.familycorp.example",
    "WEBAUTHN_RP_ID": "familycorp.example",
}


NOT_PUBLIC = [
    *("localhost", "localhost.", "LOCALHOST", "s3cret.localhost", "localhost.localdomain", "localhost:8443"),
    *(
        "127.0.0.1",
        "127.0.0.2",
        "127.1",
        "127.0.0.1.",
        "0",
        "0.0.0.0",
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "017700000001",
    ),
    *("[::1]", "[::]", "[::ffff:127.0.0.1]", "[0:0:0:0:0:0:0:1]", "::1", "[fd00::1]", "[fe80::1%25eth0]"),
    *("10.0.0.5", "172.16.0.1", "192.168.0.10", "169.254.169.254", "100.64.0.1", "203.0.113.5"),
    *("s3cret", "s3cret.local", "s3cret.internal", "s3cret.lan", "s3cret.test", "s3cret.invalid"),
    *(
        "%6cocalhost",
        "ｌｏｃａｌｈｏｓｔ",
        "127。0。0。1",
        "①②⑦.0.0.1",
        "www.s3cret.example.",
        "-s3cret.example",
    ),
]
"""Hosts that browsers and resolvers take for this machine, a private network, or nothing."""


def made(monkeypatch: pytest.MonkeyPatch, **values: str) -> Settings:
    for name, value in values.items():
        monkeypatch.setenv(f"FAMILYCORP_{name}", value)
    return Settings.from_environment()


def refusal(monkeypatch: pytest.MonkeyPatch, **values: str) -> str:
    with pytest.raises(SettingsError) as raised:
        made(monkeypatch, **values)
    message = str(raised.value)
    # Neither a value nor a link to somebody else's documentation.
    for value in values.values():
        assert value not in message
    assert "s3cret" not in message
    assert "pydantic" not in message
    assert raised.value.__cause__ is None
    return message


def test_without_any_variable_everything_is_local(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = made(monkeypatch)
    assert settings.env == "local"
    assert settings.database_url.startswith("sqlite+aiosqlite:///")
    assert settings.cache_url is settings.aws_endpoint_url is None
    assert (settings.cors_origins, settings.docs_enabled, settings.log_level) == ((), True, "INFO")


def test_variables_are_read_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = made(
        monkeypatch,
        ENV="stage",
        CACHE_TTL_S="7",
        CORS_ORIGINS=" https://a.example , https://b.example,",
        **{name: value for name, value in IN_AWS.items() if name != "CORS_ORIGINS"},
    )
    assert (settings.env, settings.cache_ttl_s) == ("stage", 7)
    assert settings.cors_origins == ("https://a.example", "https://b.example")
    assert settings.posts_table == "familycorp-stage-posts"
    assert settings.events_table == "familycorp-stage-events"
    assert settings.uploads_bucket == "familycorp-stage-uploads"


def test_several_come_as_one_and_a_variable_of_its_own_outweighs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    several = json.dumps({"LOG_LEVEL": "ERROR", "SITE_URL": "https://a.example"})
    settings = made(monkeypatch, SETTINGS=several, SITE_URL="https://b.example")
    assert (settings.log_level, settings.site_url) == ("ERROR", "https://b.example")
    assert "NO_SUCH" in refusal(monkeypatch, SETTINGS='{"NO_SUCH":"x"}')
    for broken in ("{", "[1]", '"text"'):
        assert "must be a JSON object" in refusal(monkeypatch, SETTINGS=broken)


def test_settings_never_change(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = made(monkeypatch)
    with pytest.raises(ValueError, match="frozen"):
        settings.env = "prod"  # type: ignore[misc] # Types forbid it too.


def test_an_unknown_variable_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    # A misspelt setting must not be silently without effect.
    message = refusal(monkeypatch, CACHE_TTL_SECONDS="s3cret-five")
    assert message == "FAMILYCORP_CACHE_TTL_SECONDS: Extra inputs are not permitted"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ENV", "production"),
        ("ENV", "PROD "),
        ("LOG_LEVEL", "verbose"),
        ("CACHE_TTL_S", "0"),
        ("CACHE_TTL_S", "3601"),
        ("CACHE_TTL_S", "s3cret"),
        ("DATABASE_POOL_SIZE", "0"),
        ("DATABASE_POOL_SIZE", "51"),
        ("SITE_URL", "ftp://s3cret.example"),
        ("SITE_URL", "//s3cret.example/path"),
    ],
)
def test_a_value_out_of_bounds_is_refused_by_name(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    assert refusal(monkeypatch, **{name: value}).startswith(f"FAMILYCORP_{name}: ")


def test_every_broken_rule_is_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    message = refusal(monkeypatch, ENV="s3cret-1", LOG_LEVEL="s3cret-2", NOTHING="s3cret-3")
    assert {part.split(":")[0] for part in message.split("; ")} == {
        "FAMILYCORP_ENV",
        "FAMILYCORP_LOG_LEVEL",
        "FAMILYCORP_NOTHING",
    }


@pytest.mark.security(41)
@pytest.mark.parametrize("env", ["dev", "stage", "prod"])
@pytest.mark.parametrize(
    ("name", "value", "rule"),
    [
        (
            "DATABASE_URL",
            "sqlite+aiosqlite:////tmp/s3cret.db",
            "FAMILYCORP_DATABASE_URL must be a mysql+aiomysql://",
        ),
        (
            "DATABASE_URL",
            "mysql+pymysql://u:s3cret@h/d",
            "FAMILYCORP_DATABASE_URL must be a mysql+aiomysql://",
        ),
        ("CACHE_URL", "redis://:s3cret@h/0", "FAMILYCORP_CACHE_URL must be a rediss:// (TLS)"),
        ("CACHE_URL", "unix:///s3cret", "FAMILYCORP_CACHE_URL must be a rediss:// (TLS)"),
        ("CORS_ORIGINS", "https://s3cret.example,*", "FAMILYCORP_CORS_ORIGINS must list exact origins"),
        ("CORS_ORIGINS", "https://*", "FAMILYCORP_CORS_ORIGINS must list exact origins"),
        ("AWS_ENDPOINT_URL", "http://s3cret:4566", "FAMILYCORP_AWS_ENDPOINT_URL names an emulator"),
        ("API_URL", "http://s3cret.example", "FAMILYCORP_API_URL must be a public https:// URL"),
        ("API_URL", "https://localhost:8443", "FAMILYCORP_API_URL must be a public https:// URL"),
        ("OIDC_ISSUER", "http://127.0.0.1:9000", "FAMILYCORP_OIDC_ISSUER must be a public https:// URL"),
        (
            "CORS_ORIGINS",
            "http://s3cret.example",
            "FAMILYCORP_CORS_ORIGINS must list exact origins, each a public",
        ),
        ("CORS_ORIGINS", "https://a.example, http://localhost:5173", "FAMILYCORP_CORS_ORIGINS must list"),
        ("CORS_ORIGINS", "http://localhost", "FAMILYCORP_CORS_ORIGINS must list"),
        ("SITE_URL", "https://s3cret@www.familycorp.example", "FAMILYCORP_SITE_URL must be a public"),
        ("SITE_URL", "https://www.familycorp.example?s3cret", "FAMILYCORP_SITE_URL must be a public"),
        (
            "OIDC_ISSUER",
            "https://s3cret:s3cret@login.familycorp.example",
            "FAMILYCORP_OIDC_ISSUER must be a public",
        ),
        *(
            ("DATABASE_URL", f"mysql+aiomysql://{rest}", "DB outside local and test, without a password")
            for rest in (
                "app:s3cret@db.example/content",
                "app:@db.example/s3cret",
                "app:s3/cret@db.example/content",
                "app:s3@cret@db.example/content",
                ":s3cret@db.example/content",
                "app@db.example/content?password=s3cret",
                "app@db.example/content?passwd=s3cret",
                "app@db.example/content?ssl_disabled=s3cret",
                "app@db.example/content#s3cret",
                "app@db.example/content?read_default_file=/s3cret",
                "db.example/s3cret",
                " app@db.example/s3cret",
                "app@db.example/content\n?password=s3cret",
            )
        ),
        *(
            ("CACHE_URL", f"rediss://{rest}", "PORT outside local and test, without a password")
            for rest in (
                "app:s3cret@cache.example/0",
                ":s3cret@cache.example:6379",
                "app:@cache.example/s3cret",
                "app@cache.example?password=s3cret",
                "app@cache.example/0?ssl_cert_reqs=s3cret",
            )
        ),
        ("WEBAUTHN_RP_ID", "localhost", "FAMILYCORP_WEBAUTHN_RP_ID must name the company's domain"),
        ("ROLE_GROUPS", "s3cret=owner", "FAMILYCORP_ROLE_GROUPS must list pairs as `group=role`"),
        ("OIDC_SCOPES", "email", "FAMILYCORP_OIDC_SCOPES must contain openid"),
    ],
)
def test_what_is_good_enough_locally_is_refused_in_aws(
    monkeypatch: pytest.MonkeyPatch, env: str, name: str, value: str, rule: str
) -> None:
    assert made(monkeypatch, ENV=env, **IN_AWS).env == env
    assert rule in refusal(monkeypatch, **{name: value})


@pytest.mark.security(41)
@pytest.mark.parametrize(
    ("name", "form", "rule"),
    [
        ("API_URL", "https://{}", "be a public https:// URL"),
        ("SITE_URL", "https://{}", "be a public https:// URL"),
        ("OIDC_ISSUER", "https://{}/pool", "be a public https:// URL"),
        ("OIDC_POST_LOGOUT_URI", "https://{}/gone?a=b", "be a public https:// URL"),
        ("CORS_ORIGINS", "https://s3cret.example,https://{}", "list exact origins"),
        ("WEBAUTHN_RP_ID", "{}", "name the company's domain"),
    ],
)
def test_a_host_that_is_not_public_is_refused_in_aws(
    monkeypatch: pytest.MonkeyPatch, name: str, form: str, rule: str
) -> None:
    made(monkeypatch, ENV="prod", **IN_AWS)
    for host in NOT_PUBLIC:
        assert f"FAMILYCORP_{name} must {rule}" in refusal(monkeypatch, **{name: form.format(host)}), host


@pytest.mark.security(5)
def test_no_environment_allows_every_origin(monkeypatch: pytest.MonkeyPatch) -> None:
    for env in ("local", "test"):
        with pytest.raises(SettingsError, match="CORS_ORIGINS must list exact origins"):
            made(monkeypatch, ENV=env, CORS_ORIGINS="https://a.example,*")


@pytest.mark.parametrize(
    "origin",
    [
        "https://a.example/",
        "https://a.example/path",
        "a.example",
        "https://*.example",
        "https://A.example",
        "null",
        "ftp://a.example",
    ],
)
def test_what_is_no_origin_is_refused(monkeypatch: pytest.MonkeyPatch, origin: str) -> None:
    # It could never match what a browser sends, so the page it is meant for would silently be refused.
    with pytest.raises(SettingsError, match=r"^FAMILYCORP_CORS_ORIGINS must list exact origins"):
        made(monkeypatch, CORS_ORIGINS=origin)


@pytest.mark.security(41)
def test_secrets_stay_out_of_the_representation(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = made(monkeypatch, DATABASE_URL="mysql+aiomysql://a:s3cret@h/d", CACHE_URL="redis://:s3cret@h")
    assert "s3cret" not in repr(settings)
    assert "s3cret" not in str(settings)


@pytest.mark.slow  # Each case starts a process.
def test_a_wrong_environment_keeps_the_process_from_starting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAMILYCORP_ENV", "prod")
    monkeypatch.setenv("FAMILYCORP_DATABASE_URL", "sqlite:///s3cret.db")
    done = subprocess.run(
        [sys.executable, "-c", "import app.main"], cwd=BE_APP, capture_output=True, text=True, check=False
    )
    assert done.returncode
    assert "SettingsError: FAMILYCORP_DATABASE_URL must be" in done.stderr
    assert "s3cret" not in done.stderr


@pytest.mark.security(41)
@pytest.mark.slow  # It imports the whole application in a process of its own.
def test_prod_serves_no_documentation(monkeypatch: pytest.MonkeyPatch) -> None:
    script = """
import asyncio, httpx, json
from app.main import app

async def ask():
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        paths = ("/docs", "/redoc", "/openapi.json", "/docs/oauth2-redirect", "/health")
        answers = [await client.get(path) for path in paths]
        print(json.dumps([[a.status_code, a.headers["Content-Type"]] for a in answers]), flush=True)

asyncio.run(ask())
"""
    found = {}
    for env in ("stage", "prod"):
        for name, value in (IN_AWS | {"ENV": env, "LOG_LEVEL": "ERROR"}).items():
            monkeypatch.setenv(f"FAMILYCORP_{name}", value)
        done = subprocess.run(
            [sys.executable, "-c", script], cwd=BE_APP, capture_output=True, text=True, check=True
        )
        found[env] = json.loads(done.stdout.splitlines()[-1])  # After the lines of the access log.
    assert [status for status, _ in found["stage"]] == [200, 404, 200, 404, 200]
    assert found["prod"] == [*[[404, "application/problem+json"]] * 4, [200, "application/json"]]


@pytest.mark.security(5)
def test_pages_of_this_machine_may_act_for_a_member_in_local_alone() -> None:
    own = ("http://localhost", "http://localhost:5173", "http://127.0.0.1:80")
    foreign = (
        *(
            "https://localhost",
            "http://localhost:",
            "http://localhost:x",
            "http://localhost:5173/",
            "http://localhost\n",
        ),
        *("http://localhost.example", "http://127.0.0.1.example", "http://127.1", "http://[::1]", "null", ""),
    )
    for origin in own:
        assert Settings(env="local").staff_origins.fullmatch(origin), origin
        assert not Settings(env="test").staff_origins.fullmatch(origin), origin
        assert Settings(env="local").staff_origins.match(f"{origin}/a?b#c"), origin
    for origin in foreign:
        assert not Settings(env="local").staff_origins.fullmatch(origin), origin
    for url in (
        "http://localhost@evil.example",
        "http://localhost:80@evil.example",
        "http://localhost\\evil.example",
    ):
        assert not Settings(env="local").staff_origins.match(url), url
    chosen = Settings(env="test", cors_origins=("https://a.example", "https://a.example:8443"))
    assert chosen.staff_origins.fullmatch("https://a.example:8443")
    assert not chosen.staff_origins.match("https://a.example:84")
    assert not chosen.staff_origins.match("https://a-example/")
