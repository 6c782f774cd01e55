import { upload } from './upload.js';

const api = document.querySelector('meta[name="api"]').content;
const $ = (id) => document.getElementById(id);

/** What the API answers when it doesn't do what it was asked (RFC 9457); `code` is what to decide by. */
class Problem extends Error {
  constructor({ title, detail, code }) {
    super([title, detail].filter(Boolean).join('. '));
    this.code = code;
  }
}

function request(method, path, body, headers = {}) {
  const unsafe = method !== 'GET' && { 'X-CSRF-Protection': '1' };
  headers = { ...unsafe, ...(body && { 'Content-Type': 'application/json' }), ...headers };
  // The cookies are HttpOnly: no script ever sees them.
  return fetch(api + path, { method, headers, credentials: 'include', body: body && JSON.stringify(body) });
}

let refreshing = null;

/** Get new cookies. One request at a time in all tabs, since a refresh token is good for once. */
function refresh() {
  refreshing ??= navigator.locks.request('refresh', () => request('POST', '/v1/auth/refresh'))
    .finally(() => { refreshing = null; });
  return refreshing;
}

/** Ask the API; after 15 minutes it says that nobody is logged in, and a refresh makes that right. */
async function call(method, path, body, headers) {
  let answer = await request(method, path, body, headers);
  if (answer.status === 401 && (await answer.clone().json()).code === 'unauthenticated' && (await refresh()).ok) {
    answer = await request(method, path, body, headers);
  }
  if (!answer.ok) throw new Problem(await answer.json());
  return answer;
}

const ask = async (...what) => (await call(...what)).json();

const say = (text) => { $('status').textContent = text; };
function show(id) {
  for (const section of document.querySelectorAll('section')) section.hidden = section.id !== id;
  $(id).querySelector('h2').focus();
}

const element = (name, ...children) => {
  const made = document.createElement(name);
  made.append(...children);
  return made;
};

let afterProof = null; // What was interrupted by the wish for a second factor.

/** Make a function of what an element does when it is used: it says what went wrong. */
const act = (action) => async (event) => {
  event?.preventDefault();
  say('');
  try {
    await action(event);
  } catch (error) {
    if (['unauthenticated', 'session_expired'].includes(error.code)) return show('anonymous');
    if (error.code === 'step_up_required') {
      afterProof = action;
      await askForProof();
    }
    say(error.message);
  }
};

const here = encodeURIComponent(location.origin + location.pathname);
const signIn = () => location.assign(`${api}/v1/auth/login?returnTo=${here}`);

/** Show what this browser's login needs next. */
async function home() {
  const factor = await ask('GET', '/v1/auth/second-factor');
  if (factor.state === 'active') await showMember();
  else await (factor.enrolled ? askForProof(factor) : enrol());
}

async function enrol() {
  const { secret, qrSvg } = await ask('POST', '/v1/auth/enrolment/totp');
  // As an image, because what is in an image can't run scripts; an image needs the namespace.
  const svg = qrSvg.replace(/^<svg(?! xmlns)/, '<svg xmlns="http://www.w3.org/2000/svg"');
  $('qr').src = `data:image/svg+xml,${encodeURIComponent(svg)}`;
  $('secret').textContent = secret;
  show('enrol');
}

async function askForProof(factor) {
  const { methods } = factor ?? await ask('GET', '/v1/auth/second-factor');
  $('use-passkey').hidden = !methods.includes('passkey');
  show('prove');
}

function proven() {
  const next = afterProof ?? home;
  afterProof = null;
  return next();
}

/** Show recovery codes, which come with the first factor alone. */
async function added({ recoveryCodes }) {
  if (!recoveryCodes) return home();
  $('codes').replaceChildren(...recoveryCodes.map((code) => element('li', code)));
  return show('recovery');
}

async function confirm(event) {
  const code = new FormData(event.target).get('code');
  await added(await ask('POST', '/v1/auth/enrolment/totp/confirm', { code }));
}

async function proveByCode(event) {
  const code = new FormData(event.target).get('code').trim();
  // The API takes codes as people type them: in groups, or in full width.
  const method = /^[0-9]{6}$/.test(code.normalize('NFKC').replace(/[\s\u2010\u2011\u2013-]/g, '')) ? 'totp' : 'recovery';
  event.target.reset();
  await call('POST', '/v1/auth/second-factor', { method, code });
  await proven();
}

async function proveByPasskey() {
  const options = await ask('POST', '/v1/auth/second-factor/passkey-options');
  const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(options.publicKey);
  const credential = (await navigator.credentials.get({ publicKey })).toJSON();
  await call('POST', '/v1/auth/second-factor', { method: 'passkey', credential });
  await proven();
}

async function addPasskey() {
  const options = await ask('POST', '/v1/auth/enrolment/passkey-options');
  const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(options.publicKey);
  const credential = (await navigator.credentials.create({ publicKey })).toJSON();
  const name = `${navigator.platform || 'Browser'} ${new Date().toLocaleDateString()}`;
  await added(await ask('POST', '/v1/auth/enrolment/passkey', { name, credential }));
}

async function showMember() {
  const [me, { items }] = await Promise.all([ask('GET', '/v1/auth/me'), ask('GET', '/v1/auth/sessions')]);
  const facts = { '이름 Name': me.name, '이메일 E-mail': me.email, '역할 Role': me.role ?? '–' };
  $('me').replaceChildren(...Object.entries(facts).flatMap(([k, v]) => [element('dt', k), element('dd', v)]));
  $('sessions').replaceChildren(...items.map((session) => {
    const button = element('button', '종료 End');
    button.addEventListener('click', act(() => end(`/${session.id}`)));
    const used = new Date(session.lastUsedAt).toLocaleString();
    return element('li', `${session.device} · ${used} `, session.current ? '(지금 this one)' : button);
  }));
  show('member');
}

/** End one session, or without its address every one. */
const end = (address = '') => call('DELETE', `/v1/auth/sessions${address}`).then(home);

async function publish(files = {}) {
  const title = `직원 페이지에서 쓴 글 ${new Date().toISOString()}`; // Two posts of one title can't share a slug.
  const draft = { lang: 'ko', category: 'news', title, body: '직원 페이지에서 작성했습니다.', ...files };
  const created = await call('POST', '/v1/editor/posts', draft, { 'Idempotency-Key': crypto.randomUUID() });
  const { id } = await created.json();
  // The version that was read: if somebody else changes the post meanwhile, it isn't published unseen.
  const version = { 'If-Match': created.headers.get('ETag') };
  const { slug } = await ask('POST', `/v1/editor/posts/${id}/publish`, undefined, version);
  const [attachment] = files.attachments ?? [];
  say(`게시했습니다 Published: ${api}/v1/posts/${attachment ? `${id}/attachments/${attachment}` : slug}`);
}

async function publishFile(event) {
  const file = new FormData(event.target).get('file');
  const { id, state } = await upload(file, ask, (share) => { $('progress').value = share; });
  if (state === 'scanning') return say('검사 중입니다. The malware scanner is still at it.');
  return publish({ attachments: [id] });
}

async function logOut() {
  const { endSessionUrl } = await ask('POST', '/v1/auth/logout');
  if (endSessionUrl) location.assign(endSessionUrl); // Or the provider lets the next person in unasked.
  else await home();
}

for (const [id, action] of Object.entries({
  'sign-in': signIn, kept: home, publish: () => publish(), 'log-out': logOut, everywhere: () => end(),
  'first-passkey': addPasskey, 'add-passkey': addPasskey, 'use-passkey': proveByPasskey,
})) $(id).addEventListener('click', act(action));
$('confirm').addEventListener('submit', act(confirm));
$('code').addEventListener('submit', act(proveByCode));
$('upload').addEventListener('submit', act(publishFile));

const outcome = new URLSearchParams(location.search).get('login');
history.replaceState(null, '', location.pathname);
await act(home)();
if (outcome === 'failed') say('로그인하지 못했습니다. The login failed.');
