// oidc-provider with one client for each way to prove who it is, and an interface that says whose
// the token is that came with the request. `node server.mjs PORT FOLDER`: the private keys of
// clients are in FOLDER when it listens. With server.pem there it speaks TLS, and knows clients by
// certificates of the authority in ca.pem, or by the one in self.pem.
import { createHash, generateKeyPairSync, X509Certificate } from 'node:crypto'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import Provider, { errors } from 'oidc-provider'

const [port, folder] = process.argv.slice(2)
const file = (name) => readFileSync(`${folder}/${name}`)
const tls = existsSync(`${folder}/server.pem`) && {
  cert: file('server.pem'), key: file('server.key'), ca: file('ca.pem'),
  requestCert: true, rejectUnauthorized: false,
}
const issuer = tls ? `https://localhost:${port}` : `http://127.0.0.1:${port}`
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
const shown = { client_secret: undefined, tls_client_certificate_bound_access_tokens: true }
const certified = () => {
  const self = new X509Certificate(file('self.pem'))
  const key = { ...self.publicKey.export({ format: 'jwk' }), x5c: [self.raw.toString('base64')] }
  return [
    client('pki', 'tls_client_auth', { ...shown, tls_client_auth_san_dns: 'localhost' }),
    client('pki-other', 'tls_client_auth', { ...shown, tls_client_auth_san_dns: 'other.test' }),
    client('self', 'self_signed_tls_client_auth', { ...shown, jwks: { keys: [key] } }),
  ]
}
const provider = new Provider(issuer, {
  clients: [
    ...(tls ? certified() : []),
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
    mTLS: {
      enabled: Boolean(tls), certificateBoundAccessTokens: true,
      tlsClientAuth: true, selfSignedTlsClientAuth: true,
      certificateAuthorized: (ctx) => ctx.socket.authorized,
      getCertificate: (ctx) => ctx.socket.getPeerX509Certificate(),
      certificateSubjectMatches: (ctx, property, expected) =>
        property === 'tls_client_auth_san_dns' &&
        ctx.socket.getPeerX509Certificate().checkHost(expected) !== undefined,
    },
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
  clientAuthMethods: [
    'client_secret_basic', 'client_secret_post', 'client_secret_jwt', 'private_key_jwt', 'none',
    ...(tls ? ['tls_client_auth', 'self_signed_tls_client_auth'] : []),
  ],
  enabledJWA: { clientAuthSigningAlgValues: ['HS256', 'RS256', 'ES256', 'EdDSA'] },
  scopes: ['openid', 'offline_access', 'read', 'write'],
  ttl: { ClientCredentials: 600 },
  // As servers have it that ask for certificates at another address.
  discovery: tls ? { mtls_endpoint_aliases: { token_endpoint: `${issuer}/token?by=alias` } } : {},
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
let aliased = 0
const answer = provider.callback()
// What says which certificate a token is for, RFC 8705, 3.1.
const print = (socket) => {
  const certificate = socket.getPeerX509Certificate?.()
  return certificate && createHash('sha256').update(certificate.raw).digest('base64url')
}
const listener = async (request, response) => {
  if (request.url.startsWith('/token') && request.method === 'POST') asked += 1
  if (request.url === '/token?by=alias') aliased += 1
  if (request.url === '/aliased') return response.end(String(aliased))
  if (request.url === '/asked') return response.end(String(asked))
  if (request.url !== '/api') return answer(request, response)
  const token = request.headers.authorization?.replace(/^Bearer /, '')
  const found = token && await provider.ClientCredentials.find(token)
  const bound = found?.['x5t#S256']
  if (!found || (bound && bound !== print(request.socket))) {
    response.writeHead(401, { 'www-authenticate': 'Bearer' })
    return response.end()
  }
  response.writeHead(200, { 'content-type': 'application/json' })
  response.end(JSON.stringify({ client: found.clientId, scope: found.scope ?? null }))
}
const server = tls ? createSecureServer(tls, listener) : createServer(listener)
server.listen(Number(port), '127.0.0.1')
