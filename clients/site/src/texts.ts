import type { Language } from "./site.js";

const ko = {
  name: "패밀리코퍼레이션",
  about: "패밀리코퍼레이션의 소식, 공시, 자료를 알려 드립니다.",
  skip: "본문으로 건너뛰기",
  language: "English",
  menu: "메뉴",
  news: "새 소식",
  noPosts: "아직 게시물이 없습니다.",
  newer: "최신 글",
  older: "지난 글",
  page: (number: number) => `${number}쪽`,
  pages: "다른 쪽",
  tag: "태그",
  tagged: (tag: string) => `태그: ${tag}`,
  attachments: "첨부 파일",
  feed: "피드(Atom)",
  search: "검색",
  searchWords: "검색어",
  searching: "검색하고 있습니다…",
  more: "더 보기",
  found: (count: number, more: boolean) => (count ? `결과 ${count}건${more ? " 이상" : ""}` : "검색 결과가 없습니다. 다른 말로 찾아 보세요."),
  failed: "요청을 처리하지 못했습니다.",
  script: "이 쪽을 쓰려면 자바스크립트를 켜 주세요.",
  missing: "찾으시는 쪽이 없습니다",
  missingHelp: "주소가 바뀌었거나 글이 내려갔습니다. 검색하거나 첫 화면으로 가 보세요.",
  home: "첫 화면",
  inquiry: "문의하기",
  sent: "문의를 보냈습니다",
  sentHelp: "확인하고 이메일로 답변드리겠습니다.",
  send: "보내기",
  sending: "보내고 있습니다…",
  invalid: "다음 입력란을 확인해 주세요.",
  required: "필수",
  optional: "선택",
  fields: {
    name: "이름",
    email: "이메일",
    company: "회사",
    category: "문의 분류",
    subject: "제목",
    message: "문의 내용",
    consent: "위와 같이 개인정보를 수집하고 이용하는 데 동의합니다",
  },
  anyCategory: "선택 안 함",
  sensitive: "주민등록번호, 여권 번호 등 고유식별정보는 적지 마세요.",
  terms: {
    title: "개인정보 수집·이용 안내",
    purpose: ["목적", "문의 확인과 답변"],
    items: ["항목", "필수: 이름, 이메일, 제목, 문의 내용. 선택: 회사, 문의 분류"],
    period: ["보유 기간", (days: number) => `처리를 마친 날부터 ${days}일. 처리하지 않은 문의는 마지막으로 바뀐 날부터 셉니다. 기간이 지나면 파기합니다.`],
    refusal: ["거부할 권리", "동의를 거부할 수 있으며, 거부하면 문의를 보낼 수 없습니다."],
  },
  preview: "미리보기",
  previewNote: "아직 공개되지 않은 글입니다. 링크를 다른 사람에게 알리지 마세요.",
  previewMissing: "미리보기 링크가 아니거나, 기간이 끝났거나, 취소되었습니다.",
} as const;

/** The same keys and kinds of values, in any words. */
type Words<T> = T extends string
  ? string
  : T extends (...given: infer G) => unknown
    ? (...given: G) => string
    : { readonly [K in keyof T]: Words<T[K]> };

const en: Words<typeof ko> = {
  name: "FamilyCorp",
  about: "News, notices and documents of FamilyCorp.",
  skip: "Skip to content",
  language: "한국어",
  menu: "Menu",
  news: "News",
  noPosts: "There are no posts yet.",
  newer: "Newer posts",
  older: "Older posts",
  page: (number) => `Page ${number}`,
  pages: "Other pages",
  tag: "Tags",
  tagged: (tag) => `Tag: ${tag}`,
  attachments: "Attachments",
  feed: "Feed (Atom)",
  search: "Search",
  searchWords: "Words to search for",
  searching: "Searching…",
  more: "Show more",
  found: (count, more) =>
    count ? `${count}${more ? " or more" : ""} ${count === 1 ? "result" : "results"}` : "Nothing was found. Try other words.",
  failed: "The request failed.",
  script: "This page needs JavaScript.",
  missing: "This page does not exist",
  missingHelp: "Its address has changed, or it was withdrawn. Search for it, or go to the home page.",
  home: "Home page",
  inquiry: "Contact",
  sent: "Your inquiry was sent",
  sentHelp: "We will read it and reply by email.",
  send: "Send",
  sending: "Sending…",
  invalid: "Please check these fields.",
  required: "required",
  optional: "optional",
  fields: {
    name: "Name",
    email: "Email",
    company: "Company",
    category: "Topic",
    subject: "Subject",
    message: "Message",
    consent: "I consent to the collection and use of my personal data as described above",
  },
  anyCategory: "None",
  sensitive: "Do not enter resident registration numbers, passport numbers or the like.",
  terms: {
    title: "How we use your personal data",
    purpose: ["Purpose", "To read your inquiry and to reply"],
    items: ["Data", "Required: name, email, subject, message. Optional: company, topic"],
    period: ["Period", (days) => `${days} days after the inquiry is closed, or after its last change if it never is; then it is destroyed.`],
    refusal: ["Right to refuse", "You may refuse your consent; then the inquiry cannot be sent."],
  },
  preview: "Preview",
  previewNote: "This post is not public yet. Do not pass the link on.",
  previewMissing: "This is no preview link, or it has expired or was revoked.",
};

/** Words of the site's pages. */
export const TEXTS: Record<Language, Words<typeof ko>> = { ko, en };

/** Version of the consent text above: change it with the text, and keep every version of the text. */
export const CONSENT_VERSION = "2026-12-01";
