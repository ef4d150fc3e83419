// oidc-provider with one client for each way to prove who it is, and an interface that says whose
// the token is that came with the request. `node server.mjs PORT FOLDER`: the private keys of
// clients are in FOLDER when it listens.
import { generateKeyPairSync } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import Provider, { errors } from 'oidc-provider'

const [port, folder] = process.argv.slice(2)
const issuer = `http://127.0.0.1:${port}`
const secret = 'c4nary-of-a-client-that-is-long-enough'
const exchange = 'urn:ietf:params:oauth:grant-type:token-exchange'
const client = (client_id, method, more = {}) => ({
  client_id, token_endpoint_auth_method: method, redirect_uris: [], response_types: [],
  grant_types: ['client_credentials', exchange], client_secret: secret, ...more,
})
const kinds = [['rsa', 'rsa', { modulusLength: 2048 }, 'RS256'],
  ['p256', 'ec', { namedCurve: 'P-256' }, 'ES256'], ['ed25519', 'ed25519', {}, 'EdDSA']]
const keys = kinds.map(([kid, type, options, alg]) => {
  const { publicKey, privateKey } = generateKeyPairSync(type, options)
  writeFileSync(`${folder}/${kid}.pem`, privateKey.export({ type: 'pkcs8', format: 'pem' }))
  return { ...publicKey.export({ format: 'jwk' }), kid, alg, use: 'sig' }
})
const jwks = { keys }
const own = { client_secret: undefined, jwks }
const provider = new Provider(issuer, {
  clients: [
    client('basic', 'client_secret_basic'),
    client('post', 'client_secret_post'),
    client('viewing', 'client_secret_post'),
    client('windlass-cli', 'none', {
      client_secret: undefined, application_type: 'native',
      // Of this machine, whatever the port.
      redirect_uris: ['http://127.0.0.1/callback'], response_types: ['code'],
      grant_types: ['urn:ietf:params:oauth:grant-type:device_code', 'authorization_code', 'refresh_token'],
    }),
    client('secret-jwt', 'client_secret_jwt', { token_endpoint_auth_signing_alg: 'HS256' }),
    client('rsa', 'private_key_jwt', { ...own, token_endpoint_auth_signing_alg: 'RS256' }),
    client('p256', 'private_key_jwt', { ...own, token_endpoint_auth_signing_alg: 'ES256' }),
    client('ed25519', 'private_key_jwt', { ...own, token_endpoint_auth_signing_alg: 'EdDSA' }),
  ],
  features: {
    clientCredentials: { enabled: true }, deviceFlow: { enabled: true },
    revocation: { enabled: true },
    // Whoever gives a name is who they say, as long as they give a password.
    devInteractions: { enabled: true },
    // Tokens for one server are signed, and say who they are for.
    resourceIndicators: {
      enabled: true,
      getResourceServerInfo: (_, audience) => ({
        scope: 'read', audience, accessTokenFormat: 'jwt', jwt: { sign: { alg: 'RS256' } },
      }),
    },
  },
  enabledJWA: { clientAuthSigningAlgValues: ['HS256', 'RS256', 'ES256', 'EdDSA'] },
  scopes: ['openid', 'offline_access', 'read', 'write'],
  ttl: { ClientCredentials: 600 },
})
const parameters = ['subject_token', 'subject_token_type', 'audience', 'scope']
provider.registerGrantType(exchange, async (ctx) => {
  const { params, client } = ctx.oidc
  const subject = await provider.ClientCredentials.find(params.subject_token)
  if (!subject || params.subject_token_type !== 'urn:ietf:params:oauth:token-type:access_token') {
    throw new errors.InvalidGrant('the subject is not known')
  }
  const token = new provider.ClientCredentials({ client, scope: `for-${subject.clientId}` })
  ctx.body = {
    access_token: await token.save(), token_type: 'Bearer', expires_in: 600,
    issued_token_type: 'urn:ietf:params:oauth:token-type:access_token',
  }
}, parameters)

let asked = 0
const answer = provider.callback()
createServer(async (request, response) => {
  if (request.url === '/token' && request.method === 'POST') asked += 1
  if (request.url === '/asked') return response.end(String(asked))
  if (request.url !== '/api') return answer(request, response)
  const token = request.headers.authorization?.replace(/^Bearer /, '')
  const found = token && await provider.ClientCredentials.find(token)
  if (!found) {
    response.writeHead(401, { 'www-authenticate': 'Bearer' })
    return response.end()
  }
  response.writeHead(200, { 'content-type': 'application/json' })
  response.end(JSON.stringify({ client: found.clientId, scope: found.scope ?? null }))
}).listen(Number(port), '127.0.0.1')
