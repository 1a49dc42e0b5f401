import { once } from 'node:events'
import { createServer } from 'node:http'
import { exportJWK, exportSPKI, generateKeyPair, type JWTPayload, SignJWT } from 'jose'

export interface TestIssuer {
  readonly url: string
  readonly jwksUri: string
  /** A token signed with the current key. `claims` replace the standard ones; `undefined` leaves one out. */
  sign(claims?: Readonly<Record<string, unknown>>, header?: Readonly<Record<string, unknown>>): Promise<string>
  /** Signed with a key that the issuer does not publish, under the id of one that it does. */
  signWithWrongKey(claims?: Readonly<Record<string, unknown>>): Promise<string>
  /** HS256 with the public key as the secret: accepted by verifiers that let the token choose the algorithm. */
  signWithPublicKeyAsSecret(claims?: Readonly<Record<string, unknown>>): Promise<string>
  unsigned(claims?: Readonly<Record<string, unknown>>): string
  /** From now on another key signs; the old one is published no more. */
  rotate(): Promise<void>
  /** What other paths answer: a path and its JSON. */
  readonly answers: Map<string, { readonly status?: number; readonly body: unknown }>
  /** Requests to those paths, with their Authorization header and body. */
  readonly requests: { readonly path: string; readonly authorization: string | undefined; readonly body: string }[]
  close(): Promise<void>
}

/** An outside provider on this machine, with real signatures. */
export async function startTestIssuer({
  audience,
  nowS = () => Math.floor(Date.now() / 1000),
}: {
  readonly audience: string
  readonly nowS?: () => number
}): Promise<TestIssuer> {
  let serial = 0
  const newKey = async () => ({ ...(await generateKeyPair('RS256', { extractable: true })), kid: `key-${++serial}` })
  let key = await newKey()
  const stranger = await newKey()
  const answers: TestIssuer['answers'] = new Map()
  const requests: TestIssuer['requests'] = []

  const http = createServer((request, response) => {
    const path = request.url ?? '/'
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      void (async () => {
        const [pathname = ''] = path.split('?')
        const known = answers.get(pathname)
        if (known) requests.push({ path, authorization: request.headers.authorization, body: Buffer.concat(chunks).toString() })
        const jwks = async () => ({ keys: [{ ...(await exportJWK(key.publicKey)), kid: key.kid, alg: 'RS256', use: 'sig' }] })
        const answer = pathname === '/jwks' ? { body: await jwks() } : (known ?? { status: 404, body: {} })
        response.writeHead(answer.status ?? 200, { 'Content-Type': 'application/json' }).end(JSON.stringify(answer.body))
      })()
    })
  })
  http.listen(0, '127.0.0.1')
  await once(http, 'listening')
  const address = http.address()
  const url = `http://127.0.0.1:${typeof address === 'object' && address ? address.port : 0}`

  const payload = (claims: Readonly<Record<string, unknown>>): JWTPayload => {
    const all = { iss: url, aud: audience, sub: 'somebody', iat: nowS(), exp: nowS() + 300, ...claims }
    return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined))
  }
  const segment = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
  return {
    url,
    jwksUri: `${url}/jwks`,
    answers,
    requests,
    sign(claims = {}, header = {}) {
      const names = Array.isArray(header.crit) ? header.crit.map(String) : []
      const crit = names.length === 0 ? undefined : { crit: Object.fromEntries(names.map((name) => [name, true])) }
      return new SignJWT(payload(claims)).setProtectedHeader({ alg: 'RS256', kid: key.kid, ...header }).sign(key.privateKey, crit)
    },
    signWithWrongKey: (claims = {}) =>
      new SignJWT(payload(claims)).setProtectedHeader({ alg: 'RS256', kid: key.kid }).sign(stranger.privateKey),
    async signWithPublicKeyAsSecret(claims = {}) {
      const secret = new TextEncoder().encode(await exportSPKI(key.publicKey))
      return new SignJWT(payload(claims)).setProtectedHeader({ alg: 'HS256', kid: key.kid }).sign(secret)
    },
    unsigned: (claims = {}) => `${segment({ alg: 'none', kid: key.kid })}.${segment(payload(claims))}.`,
    async rotate() {
      key = await newKey()
    },
    async close() {
      http.closeAllConnections()
      http.close()
      await once(http, 'close')
    },
  }
}
