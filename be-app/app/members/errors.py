"""Errors of members."""

from app.core.http.problems import Problem
from app.core.messages import marked


class MemberNotFound(Problem):
    """No member has this e-mail address or id."""

    status, code, title = (
        404,
        "member_not_found",
        marked("No member with this email address or id has logged in yet"),
    )


class FormerMember(Problem):
    """The member left, and their name and e-mail address were erased for good."""

    status, code, title = 409, "former_member", marked("This member has left and was erased")
    advice = marked(
        "The member's name and email address were erased. Somebody who comes back needs a new account at the login "
        "provider."
    )


class MemberAmbiguous(Problem):
    """More than one member has this e-mail address, or one that looks like it; the detail names each on a line."""

    status, code, title = 409, "member_ambiguous", marked("Several members have this email address")
