"""Errors of logging in. They never distinguish one account, or one reason, from another."""

from app.core.http.problems import Problem, Unauthenticated, Unavailable
from app.core.messages import marked


class LoginExpired(Problem):
    """The provider's response belongs to no login of this browser, or to one that is over."""

    status, code, title = 400, "login_expired", marked("This login expired or was started in another browser")
    advice = marked("Log in again.")


class LogoutTokenRejected(Problem):
    """A back-channel logout token isn't valid."""

    status, code, title = 400, "logout_token_rejected", marked("The logout token is not valid")


class SecondFactorRejected(Problem):
    """The proof of the second factor isn't valid; the response doesn't say which part of it."""

    status, code, title = 401, "second_factor_rejected", marked("The second factor was not accepted")
    advice = marked("Check the code or the passkey, then try again.")


class SessionExpired(Unauthenticated):
    """The refresh token is no longer valid; the session has ended."""

    code, title = "session_expired", marked("Your session has ended")
    advice = marked("Log in again.")


class SessionMismatch(SessionExpired):
    """The cookies of one request name different sessions. Front ends do the same about it: begin a login."""


class Forbidden(Problem):
    """The caller is known and may not do this."""

    status, code, title = 403, "forbidden", marked("You do not have permission for this")


class StepUpRequired(Forbidden):
    """The caller may do this after proving their second factor once more."""

    code, title = "step_up_required", marked("This needs a recent second factor")
    advice = marked("Confirm your second factor again, then repeat the request.")


class CsrfRejected(Forbidden):
    """A page of another site may have sent this."""

    code, title = "csrf_rejected", marked("The request may come from another site")
    advice = marked("Send the header X-CSRF-Protection, from a page of an allowed origin.")


class ProviderUnavailable(Unavailable):
    """The OpenID provider doesn't respond, or none is configured."""

    code, title = "login_provider_unavailable", marked("The login provider is temporarily unavailable")


class FactorExists(Problem):
    """Enrolling the first factor while there is one already."""

    status, code, title = 409, "factor_exists", marked("You already have a second factor")
    advice = marked("Confirm it to add another one.")


class LastFactor(Problem):
    """Removing the only second factor would lock the member out."""

    status, code, title = 409, "last_factor", marked("This is your last second factor")
    advice = marked("Add another one before you remove it.")


class KeyUnavailable(Unavailable):
    """A secret or a key can't be read; nobody can log in until it can."""

    code, title = "login_unavailable", marked("Login is temporarily unavailable")
