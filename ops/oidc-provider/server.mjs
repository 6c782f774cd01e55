// Serves oidc-provider on loopback: `node server.mjs CONFIGURATION.json`.
//
// The file says everything: issuer, port, clients, accounts, keys and lifetimes. `POST /reload` reads it again,
// which is how a test changes keys, accounts and clients; sessions stay, because they are kept beside the provider.

import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { Provider } from 'oidc-provider';

const PROFILE = ['email', 'email_verified', 'name', 'groups'];

const escape = (text) => text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);

const page = (title, body) => `<!DOCTYPE html><html lang="en"><meta charset="utf-8"><title>${title}</title>
<meta name="viewport" content="width=device-width"><main><h1>${title}</h1>${body}</main></html>`;

const loginForm = (uid, problem) => page('Sign in', `${problem ? `<p role="alert">${problem}</p>` : ''}
<form method="post" action="/interaction/${escape(uid)}">
<p><label>Username <input name="username" autocomplete="username" required autofocus></label></p>
<p><label>Password <input name="password" type="password" autocomplete="current-password" required></label></p>
<p><button type="submit">Sign in</button></p></form>`);

async function form(request) {
  let text = '';
  for await (const chunk of request) text += chunk;
  return new URLSearchParams(text);
}

function configure(settings) {
  const { accounts } = settings;
  const provider = new Provider(settings.issuer, {
    clients: settings.clients,
    jwks: { keys: settings.keys },
    ttl: settings.ttl,
    cookies: { keys: settings.cookieKeys },
    scopes: ['openid', 'email', 'profile', 'groups'],
    // All claims come in the ID token, also those that userinfo has, as with Cognito.
    conformIdTokenClaims: settings.conformIdTokenClaims,
    claims: {
      openid: ['sub', 'auth_time', 'acr', 'amr'],
      email: ['email', 'email_verified'],
      profile: ['name', 'groups'],
      groups: ['groups'],
    },
    acrValues: settings.acrValues,
    pkce: { required: () => true },
    enabledJWA: { idTokenSigningAlgValues: ['RS256', 'ES256'] },
    features: {
      devInteractions: { enabled: false },
      claimsParameter: { enabled: true },
      backchannelLogout: { enabled: true },
      rpInitiatedLogout: {
        enabled: true,
        logoutSource: (ctx, source) => {
          const button = '<button name="logout" value="yes">Sign out</button>';
          ctx.body = page('Sign out', source.replace('</form>', `${button}</form>`));
        },
        postLogoutSuccessSource: (ctx) => { ctx.body = page('Signed out', ''); },
      },
    },
    interactions: { url: (ctx, interaction) => `/interaction/${interaction.uid}` },
    // The application is the company's own: nobody is asked whether it may know who they are.
    async loadExistingGrant({ oidc }) {
      const id = oidc.session.grantIdFor(oidc.client.clientId);
      const grant = (id && await oidc.provider.Grant.find(id)) || new oidc.provider.Grant({
        accountId: oidc.session.accountId, clientId: oidc.client.clientId,
      });
      grant.addOIDCScope('openid email profile groups');
      grant.addOIDCClaims(PROFILE);
      await grant.save();
      return grant;
    },
    findAccount: (ctx, accountId) => accounts[accountId] && {
      accountId, claims: () => ({ sub: accountId, ...accounts[accountId].claims }),
    },
    renderError: (ctx, { error, error_description: text }) => {
      ctx.body = page(escape(error), `<p role="alert">${escape(text ?? '')}</p>`);
    },
    // Its own refuses loopback, and the applications under test are nowhere else.
    fetch: (url, { dispatcher, ...options }) => globalThis.fetch(url, options),
  });
  provider.on('server_error', (ctx, error) => console.error(error));
  provider.on('backchannel.error', (ctx, error) => console.error(error));

  async function interact(request, response) {
    const { uid } = await provider.interactionDetails(request, response);
    response.setHeader('content-type', 'text/html; charset=utf-8');
    if (request.method !== 'POST') return response.end(loginForm(uid));
    const fields = await form(request);
    const account = accounts[fields.get('username')];
    if (!account || account.password !== fields.get('password')) {
      response.statusCode = 401;
      return response.end(loginForm(uid, 'Username or password is wrong.'));
    }
    const { acr, amr } = account;
    const login = { accountId: fields.get('username'), acr, amr };
    return provider.interactionFinished(request, response, { login }, { mergeWithLastSubmission: false });
  }

  const callback = provider.callback();
  return async (request, response) => {
    try {
      await (request.url.startsWith('/interaction/') ? interact : callback)(request, response);
    } catch (error) {
      response.statusCode = 400;
      response.setHeader('content-type', 'text/html; charset=utf-8');
      response.end(page('Error', `<p role="alert">${escape(error.message)}</p>`));
    }
  };
}

const load = () => JSON.parse(readFileSync(process.argv[2]));
let handle = configure(load());

createServer((request, response) => {
  if (request.url === '/reload' && request.method === 'POST') {
    handle = configure(load());
    response.writeHead(204).end();
  } else {
    handle(request, response);
  }
}).listen(load().port, '127.0.0.1');
