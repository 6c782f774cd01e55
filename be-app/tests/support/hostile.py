"""An OpenID provider that answers what a test sets, true or not."""

import base64
import hashlib
import json
import time
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from familycorp_ops.servers.loopback import LoopbackServer


class HostileProvider(LoopbackServer):
    """A provider on a loopback port; what it answers next is in its attributes."""

    client_id = "familycorp"
    client_secret: str | None = None

    def __init__(self) -> None:
        self.rsa = rsa.generate_private_key(65537, 2048)
        self.ec = ec.generate_private_key(ec.SECP256R1())
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                provider.answer(self, {})

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                provider.answer(self, {n: v[0] for n, v in parse_qs(body).items()})

            def log_message(self, *_: Any) -> None:
                pass

        super().__init__(Handler)
        self.reset()

    def reset(self) -> None:
        """Give true answers again."""
        self.claims: dict[str, Any] = {}
        self.without: set[str] = set()
        self.header: dict[str, Any] = {"kid": "rsa", "alg": "RS256"}
        self.key: Any = self.rsa
        self.raw: str | None = None
        self.token: dict[str, Any] = {}
        self.callback: dict[str, str] = {}
        self.discovery: dict[str, Any] = {}
        self.userinfo: dict[str, Any] = {}
        self.status = 200
        self.jwks: list[dict[str, Any]] = [self.published("rsa", self.rsa), self.published("ec", self.ec)]
        self.asked: list[tuple[str, dict[str, str]]] = []
        self._nonce, self._challenge = "", ""

    @staticmethod
    def published(kid: str, key: Any) -> dict[str, Any]:
        """Return a key as a member of the published set."""
        made = RSAAlgorithm if isinstance(key, rsa.RSAPrivateKey) else ECAlgorithm
        alg = "RS256" if made is RSAAlgorithm else "ES256"
        public: dict[str, Any] = made.to_jwk(key.public_key(), as_dict=True)
        public.pop("key_ops", None)
        return public | {"kid": kid, "alg": alg, "use": "sig"}

    def allow(self, api_url: str) -> None:
        """Be content with any application."""

    def answer(self, request: BaseHTTPRequestHandler, form: dict[str, str]) -> None:
        path, query = urlsplit(request.path).path, urlsplit(request.path).query
        asked = {n: v[0] for n, v in parse_qs(query).items()} | form
        self.asked.append((path, asked))
        if path == "/authorize":
            self._nonce, self._challenge = asked.get("nonce", ""), asked.get("code_challenge", "")
            answer = {"code": "a-code", "state": asked["state"]} | self.callback
            sent = "&".join(f"{n}={v}" for n, v in answer.items() if v != "-")
            self._send(request, 302, {}, location=f"{asked['redirect_uri']}?{sent}")
        elif path == "/token":
            made = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
            if base64.urlsafe_b64encode(made).decode().rstrip("=") != self._challenge:
                self._send(request, 400, {"error": "invalid_grant"})
                return
            tokens = {"access_token": "an-access-token", "token_type": "Bearer", "id_token": self.id_token()}
            self._send(request, self.status, tokens | self.token)
        else:
            answers = {
                "/.well-known/openid-configuration": self._discovery() | self.discovery,
                "/jwks": {"keys": self.jwks},
                "/userinfo": {"sub": "somebody"} | self.userinfo,
            }
            self._send(request, 200 if path in answers else 404, answers.get(path, {}))

    def _discovery(self) -> dict[str, Any]:
        paths = ("authorization_endpoint", "authorize"), ("token_endpoint", "token"), ("jwks_uri", "jwks")
        found = {name: f"{self.url}/{path}" for name, path in paths}
        return found | {"issuer": self.url, "userinfo_endpoint": f"{self.url}/userinfo"}

    def id_token(self) -> str:
        """Return the ID token that comes next."""
        if self.raw is not None:
            return self.raw
        at = int(time.time())
        claims = {
            "iss": self.url,
            "aud": self.client_id,
            "sub": "somebody",
            "nonce": self._nonce,
            "iat": at,
            "exp": at + 60,
            "auth_time": at,
            "email": "somebody@familycorp.example",
            "email_verified": True,
            "name": "누군가",
            "groups": ["editors"],
            **self.claims,
        }
        return self.sign({n: v for n, v in claims.items() if n not in self.without})

    def sign(self, claims: dict[str, Any]) -> str:
        """Return claims as a signed token."""
        content = json.dumps(claims).encode()  # `jwt.encode` would refuse what no honest provider says.
        return jwt.PyJWS().encode(content, self.key, self.header["alg"], headers=self.header)

    @staticmethod
    def _send(request: BaseHTTPRequestHandler, status: int, body: Any, **headers: str) -> None:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        request.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **headers}.items():
            request.send_header(name, value)
        request.end_headers()
        request.wfile.write(content)
