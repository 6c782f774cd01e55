package authz_test

import data.authz

# -- who asks -------------------------------------------------------------------

now := 1795424400

somebody(role) := {"authenticated": true, "id": "me", "role": role, "mfaAt": now - 60}

subjects := {
	"anonymous": {"authenticated": false},
	"member": somebody(null),
	"viewer": somebody("viewer"),
	"editor": somebody("editor"),
	"admin": somebody("admin"),
	"system": {"authenticated": true, "id": "system", "role": "system", "mfaAt": 0},
}

asked(subject, action, resource) := {
	"subject": subject,
	"action": action,
	"resource": resource,
	"context": {"now": now},
}

decided(role, action, resource) := d if {
	d := authz.decision with input as asked(subjects[role], action, resource)
}

allowed(role, action, resource) if decided(role, action, resource).allow

reasons(role, action, resource) := decided(role, action, resource).reasons

malformed(document) if {
	d := authz.decision with input as document
	d == {"allow": false, "reasons": ["malformed_input"], "obligations": {}, "roles": []}
}

# -- role × action -------------------------------------------------------------

# Said once more, independently of data.json: the lowest role that may do it. Who stands above may do it too.
lowest := {
	"system:health": "anonymous",
	"system:ready": "anonymous",
	"category:view": "anonymous",
	"post:view": "anonymous",
	"post:search": "anonymous",
	"post:count-view": "anonymous",
	"feed:view": "anonymous",
	"redirect:view": "anonymous",
	"preview:view": "anonymous",
	"inquiry:send": "anonymous",
	"inquiry:view-categories": "anonymous",
	"auth:login": "anonymous",
	"auth:callback": "anonymous",
	"auth:second-factor": "anonymous",
	"auth:enrol-first-factor": "anonymous",
	"auth:refresh": "anonymous",
	"auth:logout": "anonymous",
	"auth:backchannel-logout": "anonymous",
	"self:read": "member",
	"session:list-own": "member",
	"session:end-own": "member",
	"factor:list": "member",
	"factor:add": "member",
	"factor:remove": "member",
	"factor:renew-recovery": "member",
	"post:list": "viewer",
	"post:read-any": "viewer",
	"post:preview": "viewer",
	"category:read": "viewer",
	"post:create": "editor",
	"post:update": "editor",
	"post:publish": "editor",
	"post:schedule": "editor",
	"post:unpublish": "editor",
	"post:archive": "editor",
	"preview:create": "editor",
	"preview:list": "editor",
	"preview:revoke": "editor",
	"post:delete": "editor",
	"post:share": "editor",
	"post:purge": "admin",
	"category:create": "editor",
	"category:update": "editor",
	"category:delete": "editor",
	"category:reorder": "editor",
	"upload:create": "editor",
	"upload:list": "editor",
	"upload:read": "editor",
	"upload:update": "editor",
	"upload:complete": "editor",
	"upload:attach": "editor",
	"upload:delete": "editor",
	"member:list": "editor",
	"audit:list": "editor",
	"inquiry:list": "admin",
	"inquiry:read": "admin",
	"inquiry:update": "admin",
	"inquiry:destroy": "admin",
	"inquiry:export": "admin",
	"inquiry:search": "admin",
	"inquiry:set-categories": "admin",
	"member:read": "admin",
	"member:set-role": "admin",
	"member:disable": "admin",
	"member:enable": "admin",
	"member:erase": "admin",
	"redirect:list": "admin",
	"redirect:create": "admin",
	"redirect:update": "admin",
	"redirect:delete": "admin",
	"session:list-any": "admin",
	"session:end-any": "admin",
}

# The application itself keeps to content.
of_the_system := {
	"post:list",
	"post:read-any",
	"post:preview",
	"post:create",
	"post:update",
	"post:publish",
	"post:schedule",
	"post:unpublish",
	"post:archive",
	"category:read",
	"category:create",
	"category:update",
	"category:delete",
	"category:reorder",
}

rank := {"anonymous": 0, "member": 1, "viewer": 2, "editor": 3, "admin": 4}

meant contains [role, action] if {
	some role, number in rank
	some action, least in lowest
	number >= rank[least]
}

meant contains ["system", action] if some action in of_the_system

# An object that no rule objects to: the asker's own where somebody must own it, somebody else where it is a member.
permitted := {
	"post": {"type": "post", "id": "p", "owner": "me", "draft": true},
	"upload": {"type": "upload", "id": "u", "owner": "me", "public": false},
	"session": {"type": "session", "id": "s", "owner": "me"},
	"member": {"type": "member", "id": "other", "newRole": "viewer"},
}

object_of(action) := permitted[data.objects[action]]

object_of(action) := null if not data.objects[action]

test_every_role_may_do_what_is_meant_and_nothing_else if {
	every role, _ in subjects {
		every action, _ in lowest {
			permitted := {true | allowed(role, action, object_of(action))}
			permitted == {true | [role, action] in meant}
		}
	}
}

test_the_data_knows_these_actions_and_no_others if {
	known := {action | some role; some action, _ in data.roles[role]}
	known == object.keys(lowest)
}

test_a_refusal_says_whether_logging_in_would_help if {
	every role, _ in subjects {
		every action, _ in lowest {
			refusal_is_right(role, action)
		}
	}
}

refusal_is_right(role, action) if [role, action] in meant

refusal_is_right("anonymous", action) if "not_authenticated" in reasons("anonymous", action, object_of(action))

refusal_is_right(role, action) if {
	role != "anonymous"
	"not_permitted" in reasons(role, action, object_of(action))
}

# Nor does it tell more: what else would have been wrong is for those who are permitted.
test_a_refusal_by_role_gives_no_other_reason if {
	reasons("viewer", "post:publish", post("other", true)) == ["not_permitted"]
	reasons("viewer", "upload:delete", {"type": "upload", "owner": "other"}) == ["not_permitted"]
	reasons("editor", "member:disable", {"type": "member", "id": "me"}) == ["not_permitted"]
	reasons("anonymous", "factor:add", null) == ["not_authenticated"]
	reasons("editor", "session:end-any", null) == ["not_permitted"]
}

test_an_unknown_action_is_denied_to_everybody if {
	every role, _ in subjects {
		every action in ["", "post:*", "post:publish ", "POST:VIEW", "roles", "anonymous", "toString"] {
			reasons(role, action, null) == ["unknown_action"]
		}
	}
}

# -- objects ---------------------------------------------------------------------

test_where_the_object_decides_it_is_asked_for if {
	every action, type in data.objects {
		reasons("admin", action, null) == ["resource_required"]
		allowed("admin", action, permitted[type])
	}
}

test_an_object_isnt_asked_of_who_may_not_anyway if {
	reasons("viewer", "post:publish", null) == ["not_permitted"]
	reasons("anonymous", "post:publish", null) == ["not_authenticated"]
}

test_an_object_of_another_kind_is_malformed if {
	every action, type in data.objects {
		every other, object in permitted {
			taken(action, type, other, object)
		}
	}
}

taken(_, type, type, _)

taken(action, type, other, object) if {
	type != other
	malformed(asked(subjects.admin, action, object))
}

test_an_object_where_none_belongs_is_malformed if {
	every object in permitted {
		malformed(asked(subjects.admin, "post:list", object))
		malformed(asked(subjects.admin, "no:such", object))
	}
	every action in ["post:list", "post:create", "post:publish", "no:such"] {
		malformed(asked(subjects.admin, action, {"type": "post", "published": true}))
	}
}

# -- ownership -------------------------------------------------------------------

post(owner, draft) := {"type": "post", "id": "p", "owner": owner, "draft": draft}

of_drafts := [
	"post:update", "post:publish", "post:schedule", "post:unpublish", "post:archive", "post:delete", "post:share",
	"preview:create", "preview:list", "preview:revoke",
]

test_a_draft_is_its_authors if {
	every action in ["post:read-any", "post:preview"] {
		allowed("viewer", action, post("me", true))
		reasons("viewer", action, post("other", true)) == ["not_owner"]
	}
	every action in array.concat(of_drafts, ["post:read-any", "post:preview"]) {
		allowed("editor", action, post("me", true))
		reasons("editor", action, post("other", true)) == ["not_owner"]
	}
}

shared(read, edit) := object.union(post("other", true), {"canRead": read, "canEdit": edit})

test_an_author_lets_a_colleague_read_or_edit_a_draft if {
	every action in ["post:read-any", "post:preview"] {
		every role in ["viewer", "editor"] {
			allowed(role, action, shared(true, false))
			allowed(role, action, shared(true, true))
			reasons(role, action, shared(false, false)) == ["not_owner"]
		}
	}
	allowed("editor", "post:update", shared(true, true))
	allowed("editor", "post:update", shared(false, true))
	reasons("editor", "post:update", shared(true, false)) == ["not_shared"]
	reasons("viewer", "post:update", shared(true, true)) == ["not_permitted"]

	# What becomes of it stays the author's to decide.
	every action in of_drafts {
		may_be_shared(action)
	}
}

may_be_shared("post:update")

may_be_shared(action) if reasons("editor", action, shared(true, true)) == ["not_shared"]

test_a_share_is_a_boolean_or_nothing if {
	every value in [null, "true", 1, [], {}] {
		every name in ["canRead", "canEdit"] {
			malformed(asked(subjects.editor, "post:update", object.union(post("me", true), {name: value})))
		}
	}
}

test_what_no_rule_reads_changes_nothing if {
	more := {"published": false, "type": "post", "x": {"y": [null]}}
	allowed("editor", "post:update", object.union(post("me", true), more))
	reasons("editor", "post:update", object.union(post("other", true), more)) == ["not_owner"]
}

test_what_was_public_is_everybodys_on_the_staff if {
	every action in of_drafts {
		allowed("editor", action, post("other", false))
		reasons("viewer", action, post("other", false)) == ["not_permitted"]
	}
	allowed("viewer", "post:read-any", post("other", false))
}

test_admins_and_the_application_oversee_drafts if {
	every role in ["admin", "system"] {
		every action in of_drafts {
			overseen(role, action)
		}
	}
}

overseen(role, action) if allowed(role, action, post("other", true))

overseen(role, action) if not [role, action] in meant

test_an_upload_is_its_owners if {
	every action in ["upload:read", "upload:update", "upload:complete", "upload:delete"] {
		allowed("editor", action, {"type": "upload", "owner": "me"})
		reasons("editor", action, {"type": "upload", "owner": "other"}) == ["not_owner"]
		reasons("editor", action, attaching("other", false)) == ["not_owner"]
		allowed("admin", action, {"type": "upload", "owner": "other"})
	}
	every action in ["upload:update", "upload:complete", "upload:delete"] {
		reasons("editor", action, attaching("other", true)) == ["not_owner"]
	}
}

attaching(owner, public) := {"type": "upload", "id": "u", "owner": owner, "public": public}

test_a_file_is_its_owners_to_attach_until_it_is_public if {
	every role in ["editor", "admin"] {
		allowed(role, "upload:attach", attaching("me", false))
		allowed(role, "upload:attach", attaching("other", true))
	}
	reasons("editor", "upload:attach", attaching("other", false)) == ["not_owner"]
	allowed("admin", "upload:attach", attaching("other", false))
	allowed("editor", "upload:read", attaching("other", true))
	reasons("viewer", "upload:attach", attaching("me", true)) == ["not_permitted"]
	every public in ["true", 1, null, [], {}] {
		malformed(asked(subjects.admin, "upload:attach", attaching("me", public)))
	}
	malformed(asked(subjects.admin, "upload:attach", {"type": "upload", "owner": "me"}))
}

test_ones_own_session_is_really_ones_own if {
	every role in ["member", "viewer", "editor", "admin"] {
		allowed(role, "session:end-own", {"type": "session", "owner": "me"})
		reasons(role, "session:end-own", {"type": "session", "owner": "other"}) == ["not_owner"]
	}
	allowed("admin", "session:end-any", {"type": "session", "owner": "other"})
}

test_ids_are_compared_whole if {
	every owner in ["", "m", "ME", "me ", "mee"] {
		reasons("editor", "post:update", post(owner, true)) == ["not_owner"]
	}
}

# -- one's own account ---------------------------------------------------------------

test_nobody_raises_or_locks_themselves if {
	every action in ["member:set-role", "member:disable", "member:enable", "member:erase"] {
		reasons("admin", action, {"type": "member", "id": "me", "newRole": "admin"}) == ["own_account"]
		allowed("admin", action, {"type": "member", "id": "other", "newRole": "admin"})
	}
	allowed("admin", "member:read", {"type": "member", "id": "me"})
}

test_a_new_role_is_one_that_people_can_have if {
	every role in ["admin", "editor", "viewer", null] {
		allowed("admin", "member:set-role", {"type": "member", "id": "other", "newRole": role})
	}
	every role in ["system", "anonymous", "member", "", "Admin", true, 1, ["admin"], {"admin": true}] {
		malformed(asked(subjects.admin, "member:set-role", {"type": "member", "id": "other", "newRole": role}))
	}
	malformed(asked(subjects.admin, "member:set-role", {"type": "member", "id": "other"}))
}

# -- what the public reads -----------------------------------------------------------------

test_what_the_public_reads_is_published if {
	every role in ["anonymous", "member", "viewer", "editor", "admin"] {
		allowed(role, "post:view", {"type": "post", "published": true})
		reasons(role, "post:view", {"type": "post", "published": false}) == ["not_published"]
		allowed(role, "post:view", null)
	}
	every published in ["true", 1, null, [], {}] {
		malformed(asked(subjects.anonymous, "post:view", {"type": "post", "published": published}))
	}
	malformed(asked(subjects.anonymous, "post:view", {"type": "post"}))
	malformed(asked(subjects.anonymous, "post:view", {"type": "upload", "published": true}))
}

# -- step-up ------------------------------------------------------------------------------

proven_at(at) := object.union(subjects.admin, {"mfaAt": at})

at_age(action, age) := d.reasons if {
	d := authz.decision with input as asked(proven_at(now - age), action, object_of(action))
}

of_step_up := [
	"inquiry:destroy",
	"inquiry:export",
	"post:purge",
	"factor:add",
	"factor:remove",
	"factor:renew-recovery",
	"member:set-role",
	"member:disable",
	"member:enable",
	"member:erase",
	"session:end-any",
]

test_a_proof_counts_for_five_minutes if {
	object.keys(data.stepUp) == {action | some action in of_step_up}
	every action in of_step_up {
		every age in [-5, 0, 299, 300] {
			at_age(action, age) == []
		}
		every age in [-6, 301, now, 1e300] {
			at_age(action, age) == ["step_up_required"]
		}
	}
}

test_nothing_else_needs_a_recent_proof if {
	every action, _ in lowest {
		step_up_is_meant(action)
	}
}

step_up_is_meant(action) if action in of_step_up

step_up_is_meant(action) if not "step_up_required" in at_age(action, 10000)

test_step_up_and_object_are_asked_for_together if {
	d := authz.decision with input as asked(proven_at(0), "member:disable", null)
	d.reasons == ["resource_required", "step_up_required"]
}

# -- obligations -------------------------------------------------------------------------------

test_what_is_demanded_in_return if {
	every role in ["viewer", "editor"] {
		decided(role, "post:list", null).obligations == {"ownDraftsOnly": true}
	}
	decided("editor", "upload:list", null).obligations == {"ownPrivateOnly": true}
	decided("editor", "member:list", null).obligations == {"fields": ["id", "name", "former"]}
	decided("editor", "audit:list", null).obligations == {
		"targets": ["post", "category"],
		"omit": ["detail", "correlationId"],
		"ownDraftsOnly": true,
	}
	every action in ["post:list", "upload:list", "member:list", "audit:list"] {
		decided("admin", action, null) == {"allow": true, "reasons": [], "obligations": {}, "roles": []}
	}
}

# -- which role is needed, and what a caller may do ---------------------------------------------

test_a_denial_names_the_roles_that_permit_the_action if {
	every action, least in lowest {
		decided("member", action, null).roles == [role |
			some role in ["viewer", "editor", "admin"]
			least in ["viewer", "editor", "admin"]
			stands_above(role, least)
		]
	}
	decided("editor", "post:create", null).roles == []
	decided("anonymous", "post:create", null).roles == []
}

stands_above(role, least) if least in data.inherits[role]

allowed_on(role, resources) := actions if {
	actions := authz.allowed with input as {
		"subject": subjects[role],
		"resources": resources,
		"context": {"now": now},
	}
}

test_allowed_lists_what_a_decision_allows if {
	every role, _ in subjects {
		every resource in [null, post("other", true)] {
			[actions] := allowed_on(role, [resource])
			actions == sort([action | some action, _ in lowest; attainable(role, action, resource)])
		}
	}
}

attainable(role, action, resource) if {
	same_kind(action, resource)
	{reason | some reason in reasons(role, action, resource)} - {"step_up_required"} == set()
}

same_kind(action, null) if not data.objects[action]

same_kind(action, resource) if data.objects[action] == resource.type

test_allowed_keeps_the_order_of_its_resources if {
	own := {"type": "session", "owner": "me"}
	[first, second] := allowed_on("member", [{"type": "session", "owner": "other"}, own])
	first == []
	second == ["session:end-own"]
}

test_what_lacks_a_second_factor_is_allowed_and_the_own_account_is_not if {
	stale := object.union(subjects.admin, {"mfaAt": 0})
	[other, own] := authz.allowed with input as {
		"subject": stale,
		"resources": [{"type": "member", "id": "other", "newRole": null}, {"type": "member", "id": "me", "newRole": null}],
		"context": {"now": now},
	}
	other == ["member:disable", "member:enable", "member:erase", "member:read", "member:set-role"]
	own == ["member:read"]
}

test_a_malformed_caller_is_allowed_nothing if {
	every subject in [null, {}, "me", {"authenticated": true}] {
		[actions] := authz.allowed with input as {"subject": subject, "resources": [null], "context": {"now": now}}
		actions == []
	}
}

# -- malformed inputs --------------------------------------------------------------------------

good := asked(subjects.admin, "post:update", post("me", true))

test_the_example_itself_is_well_formed if {
	d := authz.decision with input as good
	d.allow
}

test_without_an_input_nothing_is_allowed if {
	authz.decision == {"allow": false, "reasons": ["malformed_input"], "obligations": {}, "roles": []}
}

test_an_input_that_is_no_object_is_malformed if {
	every document in [null, true, 0, "", "post:view", [], [good], {}, {"input": good}] {
		malformed(document)
	}
}

test_whatever_is_missing_makes_it_malformed if {
	every path in [
		"subject", "subject/authenticated", "subject/id", "subject/role", "subject/mfaAt", "action", "resource",
		"resource/type", "resource/owner", "resource/draft", "context", "context/now",
	] {
		malformed(json.remove(good, [path]))
	}
}

test_whatever_is_of_another_type_makes_it_malformed if {
	every path in [
		"subject", "subject/id", "subject/mfaAt", "action", "resource/type", "resource/owner", "resource/draft",
		"context", "context/now",
	] {
		every value in [null, [], {}, ["x"], {"x": 1}] {
			malformed(json.patch(good, [{"op": "replace", "path": path, "value": value}]))
		}
	}
	every value in [true, 0, "", "post", []] {
		malformed(json.patch(good, [{"op": "replace", "path": "resource", "value": value}]))
	}
	every value in [null, "true", 1, false] {
		malformed(json.patch(good, [{"op": "replace", "path": "subject/authenticated", "value": value}]))
	}
	every path in ["subject/mfaAt", "context/now"] {
		malformed(json.patch(good, [{"op": "replace", "path": path, "value": "1795424400"}]))
	}
	every action in [null, true, 1, [], ["post:view"], {}, {"post:view": true}] {
		malformed(asked(subjects.admin, action, null))
	}
	malformed(json.patch(good, [{"op": "replace", "path": "subject/id", "value": ""}]))
	malformed(json.patch(good, [{"op": "replace", "path": "subject/id", "value": 1}]))
}

test_a_role_that_nobody_has_is_malformed if {
	every role in ["anonymous", "member", "owner", "", "ADMIN", "admin ", true, 1, ["admin"], {"admin": true}] {
		malformed(json.patch(good, [{"op": "replace", "path": "subject/role", "value": role}]))
	}
}

test_a_stranger_has_no_other_properties if {
	every more in [{"id": "me"}, {"role": "admin"}, {"mfaAt": now}, {"x": 1}] {
		malformed(asked(object.union({"authenticated": false}, more), "post:list", null))
	}
}

test_objects_are_checked_for_what_their_rules_read if {
	malformed(asked(subjects.editor, "upload:read", {"type": "upload"}))
	malformed(asked(subjects.editor, "upload:read", {"type": "upload", "owner": 1}))
	malformed(asked(subjects.member, "session:end-own", {"type": "session", "owner": null}))
	malformed(asked(subjects.admin, "member:read", {"type": "member"}))
	malformed(asked(subjects.admin, "member:disable", {"type": "member", "id": ["other"]}))
}

test_only_true_permits if {
	every value in [false, null, 0, 1, "", "true", [], [true], {}] {
		asking := asked(subjects.viewer, "post:list", null)
		d := authz.decision with input as asking with data.roles as {"viewer": {"post:list": value}}
		not d.allow
	}
}
