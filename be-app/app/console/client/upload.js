import { own, Problem } from "./problem.js";
const IN_ONE = 10_000_000;
const PART = 8 * 1024 * 1024;
const TRIES = 3;
const digest = async (blob) => new Uint8Array(await crypto.subtle.digest("SHA-256", await blob.arrayBuffer()));
const hex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
/** A file on its way: in one request up to 10 MB, else in parts, of which those that arrived aren't sent again. */
export class Upload {
    /** The upload's id, known once it was created. Keep it to go on after a reload. */
    id;
    /** What became of the file: `clean`, or `scanning` until the malware scanner is done. Rejects with a `Problem`. */
    done;
    #client;
    #file;
    #options;
    #request;
    #paused;
    #go;
    /** Use `client.upload(file, options)`. */
    constructor(client, file, options) {
        this.#client = client;
        this.#file = file;
        this.#options = options;
        this.id = options.id;
        this.done = this.#run();
    }
    get paused() {
        return this.#paused !== undefined;
    }
    /** Stop sending until `resume` is called. */
    pause() {
        this.#paused ??= new Promise((go) => (this.#go = go));
        this.#request?.abort();
    }
    resume() {
        this.#paused = undefined;
        this.#go?.();
    }
    async #run() {
        const { name, size, type } = this.#file;
        const parts = size > IN_ONE
            ? Array.from({ length: Math.ceil(size / PART) }, (_, i) => this.#file.slice(i * PART, (i + 1) * PART))
            : [this.#file];
        const digests = [];
        for (const part of parts)
            digests.push(await digest(part)); // One after the other: a file may exceed the memory.
        if (this.id === undefined) {
            const sha256 = hex(size > IN_ONE ? await digest(new Blob(digests)) : digests[0]);
            const body = { name, size, contentType: type, sha256, purpose: this.#options.purpose };
            this.id = (await this.#client.post("/v1/uploads", { body })).data.id;
        }
        const path = { upload_id: this.id };
        for (let failures = 0;;) {
            await this.#paused;
            try {
                // What it says of sending holds for minutes, a pause may last longer.
                const { data } = await this.#client.get("/v1/uploads/{upload_id}", { path });
                if (data.form)
                    await this.#sendForm(data.form);
                else if (data.parts)
                    await this.#sendParts(parts, digests);
                break;
            }
            catch (error) {
                const broken = error instanceof Problem && error.code === "network_error";
                if (!broken || (!this.paused && ++failures === TRIES))
                    throw error;
            }
        }
        this.#options.onProgress?.(1);
        return (await this.#client.post("/v1/uploads/{upload_id}/complete", { path })).data;
    }
    #sendForm({ url, fields }) {
        const body = new FormData();
        for (const [name, value] of Object.entries(fields))
            body.append(name, value);
        body.append("file", this.#file); // The bucket ignores what comes after the file.
        return this.#send("POST", url, body, {}, 0);
    }
    async #sendParts(parts, digests) {
        const path = { upload_id: this.id };
        const { numbers } = (await this.#client.get("/v1/uploads/{upload_id}/parts", { path })).data;
        for (const [i, part] of parts.entries()) {
            if (numbers.includes(i + 1))
                continue;
            const body = { items: [{ number: i + 1, sha256: hex(digests[i]) }] };
            const { items } = (await this.#client.post("/v1/uploads/{upload_id}/parts", { path, body })).data;
            await this.#send("PUT", items[0].url, part, items[0].headers, i * PART);
        }
    }
    // By XMLHttpRequest, since `fetch` reports no progress of what it sends.
    #send(method, url, body, headers, before) {
        return new Promise((resolve, reject) => {
            const request = (this.#request = new XMLHttpRequest());
            const failed = () => reject(own("network_error", this.#client.language, request.status));
            request.open(method, url);
            for (const [name, value] of Object.entries(headers))
                request.setRequestHeader(name, value);
            request.upload.onprogress = ({ loaded }) => this.#options.onProgress?.(Math.min(1, (before + loaded) / this.#file.size));
            request.onload = () => (request.status < 300 ? resolve() : failed());
            request.onerror = request.onabort = failed;
            if (this.paused)
                failed();
            else
                request.send(body);
        });
    }
}
