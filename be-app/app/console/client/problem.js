const OWN = {
    network_error: { ko: "서버에 연결할 수 없습니다", en: "The server cannot be reached" },
    unexpected_response: { ko: "서버가 알 수 없는 응답을 보냈습니다", en: "The server sent an unexpected response" },
};
/**
 * An error of the API (RFC 9457), or of the way to it. Decide by `code`; `title`, `detail` and the messages of `errors`
 * are for people, in the client's language. A later version of the API may have other codes.
 */
export class Problem extends Error {
    name = "Problem";
    code;
    /** The HTTP status; 0 where no response came. */
    status;
    title;
    detail;
    /** The fields that broke rules, such as `body.title`. */
    errors;
    reasons;
    /** The resource's version now, where another change came first: quote it in `If-Match` next. */
    version;
    /** The fields in which a refused change differs from the resource as it is now. */
    differences;
    requestId;
    /** Seconds to wait before the request is repeated. */
    retryAfter;
    constructor(document, retryAfter) {
        super([document.title, document.detail].filter(Boolean).join(". "));
        this.code = document.code;
        this.status = document.status;
        this.title = document.title;
        this.detail = document.detail ?? undefined;
        this.errors = document.errors ?? [];
        this.reasons = document.reasons ?? [];
        this.version = document.version ?? undefined;
        this.differences = document.differences ?? [];
        this.requestId = document.requestId;
        this.retryAfter = retryAfter;
    }
    /** The message of a field, to be shown next to it: `problem.of("body.title")`. */
    of(field) {
        return this.errors.find((error) => error.field === field)?.message;
    }
}
export const own = (code, language, status = 0) => new Problem({ code, status, title: OWN[code][language] });
/** Read the problem of a response. */
export async function problemOf(response, language) {
    if (!response.headers.get("Content-Type")?.startsWith("application/problem+json")) {
        return own("unexpected_response", language, response.status);
    }
    const wait = response.headers.get("Retry-After");
    return new Problem(await response.json(), wait === null ? undefined : Number(wait));
}
