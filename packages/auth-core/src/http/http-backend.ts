import ky, { HTTPError } from 'ky'
import type { Credentials } from '../credentials.ts'
import { given } from '../given.ts'
import { BackendFailure } from '../outcome.ts'
import type { ApiKeyInfo, AuthBackend, BackendContext, SessionInfo, UserContext } from '../ports.ts'
import { type Endpoint, failureOf, type ReadAnswer } from './http-failure.ts'
import { fields, list, parseGrant, parseProfile, text, UnreadableBody } from './wire.ts'

/** No answer of an account endpoint is longer, bytes; a longer one is not read to its end. */
const MAX_BODY_BYTES = 1024 * 1024

/**
 * The reference server's accounts over HTTP.
 *
 * @param server its address, such as `https://api.example.org`; what is stored on the device is bound to its origin
 * @throws {TypeError} if `server` is not an absolute http(s) URL
 */
export function httpBackend(server: string): AuthBackend {
  const base = new URL(server)
  if (base.protocol !== 'https:' && base.protocol !== 'http:') throw new TypeError('`server` must be an http or https URL.')
  const prefix = `${base.origin}${base.pathname.replace(/\/$/, '')}/v1/auth`
  const call = (context: BackendContext | UserContext, method: string, path: string, body?: unknown, endpoint: Endpoint = 'other') =>
    send(`${prefix}/${path}`, method, body, endpoint, context)

  return {
    issuer: base.origin,
    traits: { rotation: 'rotating', reuseEndsAllSessions: false },

    async logIn(credentials, context) {
      const answer = await call(context, 'POST', 'login', { ...wireCredentials(credentials), ...given('device_id', context.deviceId) })
      return read(() => parseGrant(answer, context.nowMs()))
    },
    async refresh(session, context) {
      if (session.refreshToken === undefined) {
        throw new BackendFailure({ kind: 'over', reason: 'expired' }, 'This kind of session cannot be renewed.')
      }
      const body = { refresh_token: session.refreshToken, attempt_id: context.attemptId }
      const answer = await call(context, 'POST', 'refresh', body, 'token')
      return read(() => parseGrant(answer, context.nowMs()))
    },
    async revoke(revokeHandle, context) {
      await call(context, 'POST', 'revoke', { revoke_handle: revokeHandle })
    },
    async profile(context) {
      const answer = await call(context, 'GET', 'profile')
      return read(() => parseProfile(answer))
    },
    async customData(context) {
      const answer = await call(context, 'GET', 'profile')
      return read(() => parseProfile(answer).customData)
    },
    async link(credentials, context) {
      const answer = await call(context, 'POST', 'link', wireCredentials(credentials))
      return read(() => parseProfile(answer))
    },
    async deleteUser(proof, context) {
      await call(context, 'POST', 'delete', proof ? { proof: wireCredentials(proof) } : {})
    },
    async changePassword({ current, next }, context) {
      const answer = await call(context, 'POST', 'password', { current_password: current, new_password: next })
      return read(() => parseGrant(answer, context.nowMs()))
    },
    async callFunction(name, args, context) {
      const answer = await call(context, 'POST', `functions/${encodeURIComponent(name)}`, { arguments: args })
      return read(() => fields(answer).result)
    },
    async confirmWipe(handle, receipt, context) {
      await call(context, 'POST', 'wipe-receipt', { handle, receipt })
    },
    emailPassword: {
      async register(account, context) {
        await call(context, 'POST', 'register', account)
      },
      async confirm({ token, tokenId }, context) {
        await call(context, 'POST', 'confirm', { token, token_id: tokenId })
      },
      async resendConfirmation(email, context) {
        await call(context, 'POST', 'confirm/send', { email })
      },
      async retryCustomConfirmation(email, context) {
        await call(context, 'POST', 'confirm/call', { email })
      },
      async sendResetMail(email, context) {
        await call(context, 'POST', 'reset/send', { email })
      },
      async reset({ token, tokenId, password }, context) {
        await call(context, 'POST', 'reset', { token, token_id: tokenId, password })
      },
      async resetByFunction(account, args, context) {
        await call(context, 'POST', 'reset/call', { ...account, arguments: args })
      },
    },
    apiKeys: {
      async create(name, context) {
        const answer = await call(context, 'POST', 'api-keys', { name })
        return read(() => ({ ...parseApiKey(answer), key: text(fields(answer), 'key') }))
      },
      async fetch(id, context) {
        try {
          const answer = await call(context, 'GET', `api-keys/${encodeURIComponent(id)}`)
          return read(() => parseApiKey(answer))
        } catch (failure) {
          if (failure instanceof BackendFailure && failure.outcome.kind === 'refused' && failure.outcome.code === 'not_found') return null
          throw failure
        }
      },
      async fetchAll(context) {
        const answer = await call(context, 'GET', 'api-keys')
        return read(() => list(fields(answer), 'api_keys').map(parseApiKey))
      },
      async enable(id, context) {
        await call(context, 'PUT', `api-keys/${encodeURIComponent(id)}/enable`)
      },
      async disable(id, context) {
        await call(context, 'PUT', `api-keys/${encodeURIComponent(id)}/disable`)
      },
      async delete(id, context) {
        await call(context, 'DELETE', `api-keys/${encodeURIComponent(id)}`)
      },
    },
    sessions: {
      async list(context) {
        const answer = await call(context, 'GET', 'sessions')
        return read(() => list(fields(answer), 'sessions').map(parseSession))
      },
      async revoke(id, context) {
        await call(context, 'DELETE', `sessions/${encodeURIComponent(id)}`)
      },
      async revokeOthers(context) {
        await call(context, 'POST', 'sessions/revoke-others')
      },
    },
    unlockKey: {
      async get(context) {
        const answer = await call(context, 'POST', 'unlock-key')
        return read(() => bytesOf(text(fields(answer), 'unlock_key')))
      },
      async forget(context) {
        await call(context, 'DELETE', 'unlock-key')
      },
    },
  }
}

async function send(
  url: string,
  method: string,
  body: unknown,
  endpoint: Endpoint,
  context: BackendContext | UserContext,
): Promise<unknown> {
  const headers: Record<string, string> = { Accept: 'application/json' }
  if ('accessToken' in context) headers.Authorization = `Bearer ${context.accessToken}`
  if (context.idempotencyKey !== undefined) headers['Idempotency-Key'] = context.idempotencyKey
  let answer: ReadAnswer
  try {
    const response = await ky(url, {
      method,
      headers,
      fetch: context.fetch,
      retry: 0,
      timeout: false,
      redirect: 'error',
      credentials: 'omit',
      cache: 'no-store',
      throwHttpErrors: false,
      ...(body === undefined ? {} : { json: body }),
      ...given('signal', context.signal),
    })
    answer = { status: response.status, headers: response.headers, body: await readJson(response) }
  } catch (error) {
    throw unreachable(error)
  }
  // A success must be JSON too: a captive portal answers 200 with a page.
  if (answer.status >= 200 && answer.status < 300 && answer.body !== undefined) return answer.body
  throw failureOf(answer, endpoint, context.nowMs())
}

/** ky's errors hold the request with its headers, so only the innermost cause, a plain network error, is passed on. */
function unreachable(error: unknown): BackendFailure {
  const cause = error instanceof Error && !(error instanceof HTTPError) ? error.cause : undefined
  return new BackendFailure({ kind: 'later', why: 'unreachable' }, 'No answer from the server.', { cause })
}

/** The body as JSON, or `undefined` if it is not, or is cut, or too long. */
async function readJson(response: Response): Promise<unknown> {
  if (!/^application\/([a-z.-]+\+)?json\b/i.test(response.headers.get('Content-Type') ?? '')) {
    await response.body?.cancel()
    return undefined
  }
  const body = await readText(response)
  try {
    return body === undefined ? undefined : JSON.parse(body)
  } catch {
    return undefined
  }
}

async function readText(response: Response): Promise<string | undefined> {
  if (!response.body) return undefined
  const decoder = new TextDecoder()
  const reader = response.body.getReader()
  let body = ''
  let bytes = 0
  for (;;) {
    const { done, value } = await reader.read()
    if (done) return body + decoder.decode()
    bytes += value.byteLength
    if (bytes > MAX_BODY_BYTES) {
      await reader.cancel()
      return undefined
    }
    body += decoder.decode(value, { stream: true })
  }
}

/** A success of the wrong shape is a sick server or something in between, never a reason to change what is stored. */
function read<T>(parse: () => T): T {
  try {
    return parse()
  } catch (error) {
    if (!(error instanceof UnreadableBody)) throw error
    throw new BackendFailure({ kind: 'later', why: 'busy' }, `The server's answer cannot be read: ${error.message}`)
  }
}

function wireCredentials(credentials: Credentials): Readonly<Record<string, unknown>> {
  switch (credentials.provider) {
    case 'anonymous':
      return { provider: 'anonymous' }
    case 'facebook':
      return { provider: 'facebook', access_token: credentials.accessToken }
    case 'google':
      return 'idToken' in credentials
        ? { provider: 'google', id_token: credentials.idToken }
        : { provider: 'google', auth_code: credentials.authCode }
    case 'apple':
      return { provider: 'apple', id_token: credentials.idToken }
    case 'email-password':
    case 'api-key':
    case 'jwt':
    case 'function':
      return credentials
  }
}

function bytesOf(base64url: string): Uint8Array<ArrayBuffer> {
  try {
    return Uint8Array.from(atob(base64url.replaceAll('-', '+').replaceAll('_', '/')), (char) => char.charCodeAt(0))
  } catch {
    throw new UnreadableBody('`unlock_key` is not base64url.')
  }
}

function parseApiKey(body: unknown): ApiKeyInfo {
  const wire = fields(body)
  return { id: text(wire, 'id'), name: text(wire, 'name'), enabled: wire.enabled === true }
}

function parseSession(body: unknown): SessionInfo {
  const wire = fields(body)
  const lastUsedAtMs = typeof wire.last_used_at_ms === 'number' ? wire.last_used_at_ms : undefined
  const deviceId = typeof wire.device_id === 'string' ? wire.device_id : undefined
  return {
    id: text(wire, 'id'),
    current: wire.current === true,
    createdAtMs: typeof wire.created_at_ms === 'number' ? wire.created_at_ms : 0,
    ...given('lastUsedAtMs', lastUsedAtMs),
    ...given('deviceId', deviceId),
  }
}
