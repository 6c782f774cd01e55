"""The routers of the auth function: the only one that signs tokens, and nothing else leads to it."""

from typing import Final

from app.account import login, second_factor
from app.account import router as account
from app.authz.routing import PolicyRouter
from app.system import router as system

OF_AUTH = (login.public, second_factor.public, account.staff)
ROUTERS: Final[tuple[PolicyRouter, ...]] = (system.public, *OF_AUTH)
