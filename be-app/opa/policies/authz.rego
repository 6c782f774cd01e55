# METADATA
# title: Who may do what in FamilyCorp's backend
# description: |
#   Everything is denied unless a role permits the action and no rule objects. What roles permit, which actions need
#   an object or a recent second factor, and what is demanded in return, is data (data.json); rules are here.
#
#   Input of `decision`: {subject, action, resource, context}. Output: {allow, reasons, obligations, roles}. The codes in
#   reasons say why it is denied; roles are those that permit what the caller's role doesn't, the least first.
#   Input of `allowed`: {subject, resources, context}. Output: a list of actions for each resource.
#   OPA turns a built-in's error into undefined, so a rule that denies could vanish with it: what a rule reads was
#   checked for its type before, and the checks are positive.
package authz

# METADATA
# entrypoint: true
default decision := {"allow": false, "reasons": ["malformed_input"], "obligations": {}, "roles": []}

decision := {
	"allow": count(reasons) == 0,
	"reasons": sort(reasons),
	"obligations": obligations,
	"roles": roles,
} if {
	well_formed
}

# METADATA
# description: |
#   The actions that a caller may do to each of several objects, or without an object where the resource is null. An
#   action that only lacks a recent second factor is among them: the caller can prove it, then do the action.
# entrypoint: true
allowed := [actions |
	some resource in input.resources
	actions := sort({action |
		some action in actions_on(resource)
		attainable with input.action as action with input.resource as resource
	})
]

actions_on(resource) := {action |
	some action, type in data.objects
	type == resource.type
} if {
	resource != null
}

actions_on(null) := {action |
	data.roles[_][action]
	not data.objects[action]
}

attainable if {
	well_formed
	count(reasons - {"step_up_required"}) == 0
}

# -- the input ------------------------------------------------------------------

well_formed if {
	is_string(input.action)
	is_number(input.context.now)
	subject_well_formed
	resource_well_formed
}

subject_well_formed if input.subject == {"authenticated": false}

subject_well_formed if {
	input.subject.authenticated == true
	is_string(input.subject.id)
	input.subject.id != ""
	is_number(input.subject.mfaAt)
	role != "anonymous"
}

role := "anonymous" if input.subject.authenticated == false

role := "member" if {
	input.subject.authenticated == true
	input.subject.role == null
}

role := input.subject.role if {
	input.subject.authenticated == true
	input.subject.role in {"viewer", "editor", "admin", "system"}
}

resource_well_formed if input.resource == null

# What an object must hold depends on its type, and its type on the action.
resource_well_formed if {
	input.resource.type == data.objects[input.action]
	object_well_formed[input.resource.type]
}

resource_well_formed if {
	input.action == "post:view"
	input.resource.type == "post"
	is_boolean(input.resource.published)
}

object_well_formed contains "post" if {
	is_string(input.resource.owner)
	is_boolean(input.resource.draft)
	reading_well_formed
	editing_well_formed
}

# Absent means false.
reading_well_formed if not input.resource.canRead

reading_well_formed if input.resource.canRead == true

editing_well_formed if not input.resource.canEdit

editing_well_formed if input.resource.canEdit == true

object_well_formed contains type if {
	some type in {"upload", "session"}
	is_string(input.resource.owner)
	public_well_formed
}

public_well_formed if input.action != "upload:attach"

public_well_formed if is_boolean(input.resource.public)

object_well_formed contains "member" if {
	is_string(input.resource.id)
	new_role_well_formed
}

new_role_well_formed if input.action != "member:set-role"

new_role_well_formed if input.resource.newRole in {"admin", "editor", "viewer", null}

# -- what a role permits -----------------------------------------------------------

permitted if {
	some inherited in data.inherits[role]
	data.roles[inherited][input.action] == true
}

known_action if {
	some name
	data.roles[name][input.action] == true
}

reasons contains "unknown_action" if not known_action

reasons contains "not_authenticated" if {
	known_action
	not permitted
	role == "anonymous"
}

reasons contains "not_permitted" if {
	known_action
	not permitted
	role != "anonymous"
}

roles := [name |
	"not_permitted" in reasons
	some name in data.ranks
	some inherited in data.inherits[name]
	data.roles[inherited][input.action] == true
]

# -- where a role isn't enough -------------------------------------------------------

# The object decides, and it isn't known yet: the caller asks again with it.
reasons contains "resource_required" if {
	permitted
	data.objects[input.action]
	input.resource == null
}

# A post that never was public is its author's, whatever its state; `draft` says so. The author may let colleagues read
# it, or also edit it.
reasons contains "not_owner" if {
	somebody_elses_draft
	shared == set()
}

reasons contains "not_shared" if {
	somebody_elses_draft
	shared != set()
	not input.action in shared
}

somebody_elses_draft if {
	permitted
	input.resource.type == "post"
	input.resource.draft
	not owns
	not oversees
}

shared contains action if {
	input.resource.canRead
	some action in data.shared.read
}

shared contains action if {
	input.resource.canEdit
	some action in data.shared.edit
}

# Who reads a post could read a file in it: so only its owner puts it there, until everybody has it or its owner shares
# it into the library.
reasons contains "not_owner" if {
	permitted
	input.resource.type == "upload"
	not owns
	not oversees
	not had_by_everybody
}

had_by_everybody if {
	input.action in {"upload:attach", "upload:read"}
	input.resource.public
}

reasons contains "not_owner" if {
	input.action == "session:end-own"
	input.resource.type == "session"
	not owns
}

owns if input.resource.owner == input.subject.id

oversees if role in {"admin", "system"}

# Nobody raises, lowers or locks themselves: the last admin could be gone, and a taken-over account stays what it is.
reasons contains "own_account" if {
	permitted
	input.action in {"member:set-role", "member:disable", "member:enable", "member:erase"}
	input.resource.id == input.subject.id
}

# What the public reads is published.
reasons contains "not_published" if {
	input.action == "post:view"
	input.resource.published == false
}

reasons contains "step_up_required" if {
	permitted
	data.stepUp[input.action]
	not proven_recently
}

# Clocks of two functions may differ by a little.
proven_recently if {
	input.context.now - input.subject.mfaAt <= data.stepUpMaxAge
	input.subject.mfaAt - input.context.now <= 5
}

# -- what is demanded in return ---------------------------------------------------------

default obligations := {}

obligations := data.obligations[input.action][role]
