"""Errors of logging in. They never tell one account, or one reason, from another."""

from app.core.http.problems import Problem, Unauthenticated, Unavailable


class LoginNotUnderWay(Problem):
    """The provider's answer belongs to no login that this browser began, or that login is over."""

    status, code, title = 400, "login_not_under_way", "This login was not begun here, or is over; begin anew"


class LogoutRefused(Problem):
    """A logout token proves nothing."""

    status, code, title = 400, "logout_refused", "The logout token was not accepted"


class SecondFactorRejected(Problem):
    """The second factor doesn't prove anything; which part of it is wrong isn't told."""

    status, code, title = 401, "second_factor_rejected", "The second factor was not accepted"


class RefreshRefused(Unauthenticated):
    """The refresh token is no longer good; the session is over."""

    code, title = "session_over", "The session is over; log in again"


class SessionMismatch(RefreshRefused):
    """The cookies of one request name different sessions. Front ends do the same about it: begin a login."""


class Forbidden(Problem):
    """The caller is known and may not do this."""

    status, code, title = 403, "forbidden", "You may not do this"


class StepUpRequired(Forbidden):
    """The caller may do this after proving their second factor once more."""

    code, title = "step_up_required", "Prove your second factor again, then repeat this"


class CrossSiteRefused(Forbidden):
    """A page of another site may have sent this."""

    code, title = "cross_site_refused", "Requests that change something need the header X-CSRF-Protection"


class ProviderUnavailable(Unavailable):
    """The OpenID provider doesn't answer, or none is configured."""

    code, title = "login_provider_unavailable", "The login provider doesn't answer; try again"


class FactorExists(Problem):
    """Enrolling the first factor while there is one already."""

    status, code, title = 409, "factor_exists", "There is a second factor already; prove it to add another"


class LastFactor(Problem):
    """Removing the only second factor would lock the member out."""

    status, code, title = 409, "last_factor", "This is the last second factor; add another first"


class KeyUnavailable(Unavailable):
    """A secret or a key can't be read; nobody can log in until it can."""

    code = "login_unavailable"
