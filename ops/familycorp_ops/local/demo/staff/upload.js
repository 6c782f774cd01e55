const SINGLE = 10_000_000;
const PART = 8 * 1024 * 1024;

const digest = async (blob) => new Uint8Array(await crypto.subtle.digest('SHA-256', await blob.arrayBuffer()));
const hex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
const cut = (file) => Array.from({ length: Math.ceil(file.size / PART) }, (_, i) => file.slice(i * PART, (i + 1) * PART));

/** Send a body, telling how many of its bytes are on their way; `fetch` can't tell. */
function send(method, url, body, headers, onBytes) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open(method, url);
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
    request.upload.addEventListener('progress', (event) => onBytes(event.loaded));
    request.addEventListener('load', () => (request.status < 300 ? resolve() : reject(new Error(`S3: ${request.status}`))));
    request.addEventListener('error', () => reject(new Error('S3 could not be reached')));
    request.send(body);
  });
}

/**
 * Upload a file, and return what the API says of it once it was checked.
 * `ask(method, path, body, headers)` asks the API for JSON; `onProgress` is told a share from 0 to 1.
 */
export async function upload(file, ask, onProgress) {
  const parts = file.size > SINGLE ? cut(file) : null;
  const digests = await Promise.all((parts ?? [file]).map(digest));
  const sha256 = hex(parts ? await digest(new Blob(digests)) : digests[0]);
  // Many systems name types badly or not at all, so the API goes by the name's suffix; `file.type` is no more than a hint.
  const announced = { name: file.name, size: file.size, contentType: file.type, sha256, purpose: 'attachment' };
  const { id, form } = await ask('POST', '/v1/uploads', announced, { 'Idempotency-Key': crypto.randomUUID() });
  if (form) {
    const body = new FormData();
    for (const [name, value] of Object.entries(form.fields)) body.append(name, value);
    body.append('file', file); // What comes after the file, S3 doesn't read.
    await send('POST', form.url, body, {}, (bytes) => onProgress(Math.min(1, bytes / file.size)));
  } else {
    // What arrived in an earlier attempt needn't be sent again.
    const { numbers } = await ask('GET', `/v1/uploads/${id}/parts`);
    for (const [i, part] of parts.entries()) {
      if (numbers.includes(i + 1)) continue;
      const wanted = { items: [{ number: i + 1, sha256: hex(digests[i]) }] };
      const { items: [{ url, headers }] } = await ask('POST', `/v1/uploads/${id}/parts`, wanted);
      await send('PUT', url, part, headers, (bytes) => onProgress((i * PART + bytes) / file.size));
    }
  }
  onProgress(1);
  return ask('POST', `/v1/uploads/${id}/complete`);
}
