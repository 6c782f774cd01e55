import { client, etagOf } from "../api.js";
import { button, dialog, field, form, h, say } from "../dom.js";
import { fromKst, t, toKst } from "../i18n.js";

const SCHEDULE = "/v1/editor/posts/{post_id}/schedule";
const LOCAL_TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d/;

/**
 * Ask when a post, or the change of a published one, is published, and when it is taken back; times are Korea's.
 * `plan(body)` sends the plan.
 */
export function askForTimes(editor, plan) {
  const { post } = editor;
  const isPublic = post.state === "published";
  const at = (instant) => h("input", { type: "datetime-local", min: toKst(Date.now()), value: instant ? toKst(instant) : "" });
  const tomorrow = new Date(Date.now() + 24 * 3600_000);
  tomorrow.setUTCHours(0, 0, 0, 0); // Nine o'clock in Korea.
  const publishAt = at(post.scheduledAt ?? (isPublic ? null : tomorrow));
  const unpublishAt = at(post.unpublishAt);
  const given = ({ value }) => (LOCAL_TIME.test(value) ? fromKst(value) : null);
  const drop = button(t("Drop the plan"), async () => {
    const { data } = await editor.upToDate(() => client.delete(SCHEDULE, { path: { post_id: post.id }, ifMatch: etagOf(editor.post.version) }));
    editor.accept(data);
    made.close();
    say(t("Nothing is planned for this post any more."));
  });
  const content = form(
    async () => {
      await plan({ publishAt: given(publishAt), unpublishAt: given(unpublishAt) });
      made.close();
      say(t("Scheduled."));
    },
    h("p", { class: "hint" }, t("The newest saved revision is published then; later edits don't change it until you schedule again.")),
    field(t("Publish at (Korean time, KST)"), "publishAt", publishAt, isPublic ? t("Left empty, no change is planned.") : ""),
    field(t("Take back at (Korean time, KST)"), "unpublishAt", unpublishAt, t("Left empty, it stays published.")),
    h(
      "div", { class: "actions" },
      h("button", { class: "primary" }, t("Schedule")),
      (post.scheduledAt || post.unpublishAt) && drop,
      h("button", { type: "button", onclick: () => made.close() }, t("Cancel")),
    ),
  );
  let made;
  return dialog(t("Schedule"), (close) => {
    made = { close };
    return content;
  });
}
