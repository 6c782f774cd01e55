import { own, problemOf } from "./problem.js";
import { Session } from "./session.js";
import { Upload } from "./upload.js";
/** Calls the API with the browser's cookies. One for each page is enough. */
export class Client {
    baseUrl;
    language;
    /** Proves the second factor of this browser's login or session. */
    secondFactor;
    #given;
    #session;
    #proving;
    constructor(options) {
        this.#given = options;
        this.baseUrl = options.baseUrl.replace(/\/+$/, "");
        this.language = options.language ?? (globalThis.navigator?.language?.startsWith("ko") ? "ko" : "en");
        this.#session = new Session(this.baseUrl, () => this.#send("POST", "/v1/auth/refresh", {}));
        this.secondFactor = new SecondFactor(this);
    }
    get(path, ...[options]) {
        return this.#call("get", path, options);
    }
    post(path, ...[options]) {
        return this.#call("post", path, options);
    }
    put(path, ...[options]) {
        return this.#call("put", path, options);
    }
    delete(path, ...[options]) {
        return this.#call("delete", path, options);
    }
    /** Go through a list, page by page as they are needed: `for await (const post of client.items("/v1/posts"))`. */
    async *items(path, ...[options]) {
        const loose = { ...options };
        let cursor;
        do {
            const query = cursor ? { ...loose.query, cursor } : loose.query;
            const page = await this.#request("GET", path, { ...loose, query });
            const { items, nextCursor } = (await page.json());
            yield* items;
            cursor = nextCursor;
        } while (cursor);
    }
    /** Send a file to the bucket, and have it inspected. */
    upload(file, options) {
        return new Upload(this, file, options);
    }
    /** Leave for the login provider. The browser comes back to `returnTo`, this page unless it is given. */
    signIn(returnTo = location.origin + location.pathname) {
        const [api, page] = [new URL(this.baseUrl, location.href).hostname, location.hostname];
        if (api !== page && [api, page].includes("127.0.0.1")) {
            throw new Error("The login's cookies don't reach another name of this machine: open the page, and name the API, by localhost.");
        }
        location.assign(`${this.baseUrl}/v1/auth/login?${new URLSearchParams({ returnTo })}`);
    }
    /** Return how the login ended that the browser comes back from, and remove it from the address. */
    signedIn() {
        const url = new URL(location.href);
        const outcome = url.searchParams.get("login");
        if (outcome === null)
            return undefined;
        url.searchParams.delete("login");
        history.replaceState(history.state, "", url);
        return outcome;
    }
    /** End the session, here and at the login provider, for which the browser may leave the page. */
    async signOut() {
        const { endSessionUrl } = (await this.post("/v1/auth/logout")).data;
        if (endSessionUrl)
            location.assign(endSessionUrl);
    }
    async #call(method, path, options) {
        const response = await this.#request(method.toUpperCase(), path, (options ?? {}));
        const json = response.headers.get("Content-Type")?.startsWith("application/json");
        const data = (response.status === 204 ? undefined : json ? await response.json() : await response.text());
        return { data, etag: response.headers.get("ETag"), headers: response.headers };
    }
    async #request(method, path, options) {
        const idempotencyKey = options.idempotencyKey ?? (method === "POST" ? crypto.randomUUID() : undefined);
        const send = () => this.#send(method, path, { ...options, idempotencyKey });
        for (let renewed = false, proven = false;;) {
            const since = Date.now();
            // A proof of the second factor, for example, replaces the cookies as a renewal does.
            const response = await (method === "POST" && path.startsWith("/v1/auth/") ? this.#session.replaced(send) : send());
            if (response.ok)
                return response;
            const problem = await problemOf(response, this.language);
            if (problem.code === "unauthenticated" && !renewed && (await this.#session.renewed(since))) {
                renewed = true;
            }
            else if (problem.code === "step_up_required" && !proven && this.#given.stepUp) {
                proven = true;
                this.#proving ??= this.#given.stepUp(this.secondFactor).finally(() => (this.#proving = undefined));
                await this.#proving;
            }
            else {
                throw problem;
            }
        }
    }
    async #send(method, path, options) {
        const filled = path.replace(/\{(\w+)\}/g, (_, name) => encodeURIComponent(options.path[name]));
        const given = Object.entries(options.query ?? {}).filter(([, value]) => value !== undefined && value !== null);
        const query = new URLSearchParams(given.map(([name, value]) => [name, String(value)]));
        const headers = { "Accept-Language": this.language };
        if (method !== "GET")
            headers["X-CSRF-Protection"] = "1";
        if (options.body !== undefined)
            headers["Content-Type"] = "application/json";
        if (options.ifMatch !== undefined)
            headers["If-Match"] = options.ifMatch;
        if (options.idempotencyKey !== undefined)
            headers["Idempotency-Key"] = options.idempotencyKey;
        if (options.previewToken !== undefined)
            headers["X-Preview-Token"] = options.previewToken;
        try {
            return await fetch(`${this.baseUrl}${filled}${query.size ? `?${query}` : ""}`, {
                method,
                headers,
                credentials: "include",
                body: options.body === undefined ? null : JSON.stringify(options.body),
                signal: options.signal ?? null,
            });
        }
        catch (error) {
            options.signal?.throwIfAborted();
            throw own("network_error", this.language);
        }
    }
}
/** Proves the second factor: it completes a login, and steps a session up. */
export class SecondFactor {
    #client;
    constructor(client) {
        this.#client = client;
    }
    /** Tell whether this browser's login waits for a second factor, and which ones the person has. */
    async state() {
        return (await this.#client.get("/v1/auth/second-factor")).data;
    }
    /** Prove it by a code of an authenticator app, or by a recovery code. */
    code(code) {
        const digits = code.normalize("NFKC").replace(/[\s\u2010\u2011\u2013-]/g, "");
        return this.#prove({ method: /^\d{6}$/.test(digits) ? "totp" : "recovery", code });
    }
    /** Prove it by a passkey. */
    async passkey() {
        const options = (await this.#client.post("/v1/auth/second-factor/passkey-options")).data.publicKey;
        const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(options);
        const credential = (await navigator.credentials.get({ publicKey }));
        return this.#prove({ method: "passkey", credential: credential.toJSON() });
    }
    async #prove(body) {
        return (await this.#client.post("/v1/auth/second-factor", { body })).data;
    }
}
