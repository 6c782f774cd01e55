import { t } from "./i18n.js";

const STATES = { draft: "Draft", scheduled: "Scheduled", published: "Published", archived: "Archived" };
export const ROLES = { admin: "Admin", editor: "Editor", viewer: "Viewer" };
/** Who acts or owns besides members. */
export const OTHERS = { system: "The system", import: "Import", visitor: "A visitor" };
const LANGUAGES = { ko: "Korean", en: "English" };

export const stateName = (state) => t(STATES[state] ?? state);
export const roleName = (role) => t(ROLES[role] ?? "No role");
export const languageName = (lang) => t(LANGUAGES[lang] ?? lang);
export const otherLanguage = (lang) => (lang === "ko" ? "en" : "ko");
export const versionName = (lang) => (lang === "ko" ? t("Korean version") : t("English version"));
export const states = () => Object.keys(STATES).map((state) => [state, stateName(state)]);
export const languages = () => Object.keys(LANGUAGES).map((lang) => [lang, languageName(lang)]);
export const roles = () => Object.keys(ROLES).map((role) => [role, roleName(role)]);
