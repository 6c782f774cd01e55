"""Problems that the routes of an account may answer with, by what the routes need."""

from app.auth.errors import KeyUnavailable
from app.core.http.problems import StoreUnavailable, TooManyRequests

UNAVAILABLE = (StoreUnavailable, KeyUnavailable)
LIMITED = (*UNAVAILABLE, TooManyRequests)
