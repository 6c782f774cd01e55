import { caller, client, identify, may, onStepUp } from "./api.js";
import { button, confirmed, h, onError, report, say } from "./dom.js";
import { proveInPlace, secondFactorPage } from "./factors.js";
import { language, switchLanguage, t } from "./i18n.js";
import { discardAll, kept, unsaved } from "./local.js";
import { ROOT, link, route, show } from "./router.js";
import { roleName } from "./words.js";
import { postsPage } from "./pages/posts.js";
import { editorPage } from "./pages/editor.js";
import { historyPage } from "./pages/history.js";
import { calendarPage } from "./pages/calendar.js";
import { startPage } from "./pages/start.js";
import { inquiriesPage, inquiryPage } from "./pages/inquiries.js";
import { memberPage, membersPage } from "./pages/members.js";
import { accountPage } from "./pages/account.js";
import { auditPage } from "./pages/audit.js";
import { libraryPage } from "./pages/library.js";
import { filePage } from "./pages/file.js";
import { categoriesPage } from "./pages/categories.js";
import { redirectsPage } from "./pages/redirects.js";

const NAVIGATION = [
  ["/posts", "Posts", () => may("post:list")],
  ["/calendar", "Calendar", () => may("post:create")],
  ["/library", "Media library", () => may("upload:list")],
  ["/categories", "Categories", () => may("category:update")],
  ["/inquiries", "Inquiries", () => may("inquiry:list")],
  ["/members", "Members", () => may("session:list-any")],
  ["/redirects", "Redirects", () => may("redirect:list")],
  ["/audit", "Audit trail", () => may("audit:list")],
];

route("/", "Start", startPage);
route("/posts", "Posts", postsPage);
route("/posts/new", "New post", editorPage);
route("/posts/:id", "Edit post", editorPage);
route("/posts/:id/history", "History", historyPage);
route("/calendar", "Calendar", calendarPage);
route("/library", "Media library", libraryPage);
route("/library/:id", "File", filePage);
route("/categories", "Categories", categoriesPage);
route("/inquiries", "Inquiries", inquiriesPage);
route("/inquiries/:id", "Inquiry", inquiryPage);
route("/members", "Members", membersPage);
route("/members/:id", "Member", memberPage);
route("/redirects", "Redirects", redirectsPage);
route("/audit", "Audit trail", auditPage);
route("/account", "My account", accountPage);

function frame(signedIn) {
  const other = language === "ko" ? ["en", "English"] : ["ko", "한국어"];
  document.documentElement.lang = language;
  document.body.replaceChildren(
    h("a", { class: "skip", href: "#main" }, t("Skip to the content")),
    h(
      "header", {},
      h("a", { class: "brand", href: `${ROOT}/` }, "FamilyCorp"),
      signedIn && h("nav", { "aria-label": t("Console") }, NAVIGATION.filter(([, , shown]) => shown()).map(([path, text]) => link(path, t(text)))),
      h(
        "div", { class: "account" },
        signedIn && me(),
        signedIn && button(t("Sign out"), signOut, { class: "plain" }),
        h("button", { type: "button", class: "plain", lang: other[0], onclick: () => switchLanguage(other[0]) }, other[1]),
      ),
    ),
    h("div", { id: "notes" }),
    h("main", { id: "main", tabindex: "-1" }, h("p", { class: "empty" }, t("Loading…"))),
  );
}

function me() {
  const name = `${caller.me.name} (${roleName(caller.me.role)})`;
  const made = link("/account", name);
  made.className = "me";
  made.title = t("My account");
  made.setAttribute("aria-label", `${t("My account")}: ${name}`);
  return made;
}

function page(...content) {
  document.querySelector("main").replaceChildren(...content);
  document.querySelector("h1")?.focus();
}

function signInPage() {
  frame(false);
  document.title = `${t("Sign in")} · FamilyCorp`;
  page(
    h("h1", { tabindex: "-1" }, t("Sign in")),
    h("p", {}, t("The company's console for posts, inquiries and members.")),
    button(t("Sign in"), () => client.signIn(location.href), { class: "primary" }),
  );
}

async function signOut() {
  if (unsaved().some((id) => !kept(id)?.safe) && !(await confirmed(t("Sign out"), t("Unsaved texts in this browser will be deleted."), t("Sign out")))) return;
  discardAll();
  await client.signOut();
  signInPage();
}

async function start(outcome) {
  try {
    if (outcome === "second-factor" || !(await identified())) {
      const factor = await client.secondFactor.state();
      if (factor.state === "pending") {
        frame(false);
        document.title = `${t("Second factor")} · FamilyCorp`;
        page(...(await secondFactorPage(factor, () => start())));
        return;
      }
      await identify();
    }
  } catch (error) {
    signInPage();
    if (outcome === "failed") say(t("You were not signed in. Please try again."), "alert");
    else if (!ended(error)) report(error);
    return;
  }
  frame(true);
  await show();
}

/** Learn who is signed in, in one round trip; return whether somebody is. */
async function identified() {
  try {
    await identify();
    return true;
  } catch (error) {
    if (ended(error)) return false;
    throw error;
  }
}

const ended = (error) => ["unauthenticated", "session_expired"].includes(error.code);
let told = false;

// A session that ends while somebody writes: the page stays, since it may hold what isn't saved.
onError((error) => {
  if (!ended(error) || !caller.me) return false;
  if (!told) {
    told = true;
    say(t("Your session has ended. Unsaved text is kept in this browser: sign in again and go on."), "alert");
    document.getElementById("notes").lastElementChild.append(button(t("Sign in again"), () => client.signIn(location.href)));
  }
  return true;
});
addEventListener("unhandledrejection", (event) => {
  event.preventDefault();
  report(event.reason);
});
onStepUp(proveInPlace);
await start(client.signedIn());
