/** Keeps the session of a browser: it is renewed once, however many requests of however many tabs need it. */
export class Session {
    #renewing;
    #name;
    #renew;
    constructor(baseUrl, renew) {
        this.#name = `familycorp:session:${baseUrl}`;
        this.#renew = renew;
    }
    /**
     * Renew the session unless that has happened since a request was sent, by another tab for example.
     * Returns whether the request is worth repeating.
     */
    renewed(since) {
        this.#renewing ??= this.#alone(async () => {
            if (Number(globalThis.localStorage?.getItem(this.#name)) > since)
                return true;
            // A renewal whose response was lost is repeated at once: after ten seconds its token counts as stolen.
            const response = await this.#renew().then((r) => (r.status < 500 ? r : this.#renew()), this.#renew);
            return this.#noted(response).ok;
        }).finally(() => {
            this.#renewing = undefined;
        });
        return this.#renewing;
    }
    /** Send a request that may replace the session's cookies, while no tab renews it. */
    replaced(send) {
        return this.#alone(async () => this.#noted(await send()));
    }
    /** Let every tab know of new cookies. */
    #noted(response) {
        if (response.ok)
            globalThis.localStorage?.setItem(this.#name, String(Date.now()));
        return response;
    }
    #alone(action) {
        // Without locks, as in Node.js, there are no other tabs.
        const locks = globalThis.navigator?.locks;
        return locks ? locks.request(this.#name, action) : action();
    }
}
