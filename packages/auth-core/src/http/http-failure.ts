import { BackendFailure, type Outcome, type OverReason } from '../outcome.ts'

export type Endpoint = 'token' | 'other'

/** What is left of an answer once it is read: enough to sort it, nothing that could leak. */
export interface ReadAnswer {
  readonly status: number
  readonly headers: Headers
  /** Parsed JSON, or `undefined` if the body was something else, cut, or too long. */
  readonly body: unknown
}

const TYPED_ENDS: ReadonlyMap<string | undefined, OverReason> = new Map([
  ['expired', 'expired'],
  ['revoked', 'revoked'],
  ['reuse', 'reuse'],
  ['user_disabled', 'disabled'],
  ['user_deleted', 'deleted'],
  ['password_changed', 'credential-changed'],
  ['device_wiped', 'device-wiped'],
])

const REFUSALS: ReadonlyMap<string, string> = new Map([
  ['invalid_credentials', 'invalid-credentials'],
  ['email_taken', 'account-exists'],
  ['weak_password', 'weak-password'],
  ['identity_taken', 'identity-taken'],
])

/**
 * What an answer that is not a success means. Only a JSON body from the token endpoint with a typed end or OAuth's `invalid_grant` says `over`,
 * whatever its status; no status alone does (S1).
 */
export function sortAnswer({ status, headers, body }: ReadAnswer, endpoint: Endpoint, nowMs: number): Outcome {
  if (endpoint === 'token') {
    const reason = overReason(body)
    if (reason) return { kind: 'over', reason }
  }
  const code = stringField(body, 'code')
  if (status === 409 && code === 'superseded') return { kind: 'superseded' }
  if (status === 429) return later('throttled', headers, nowMs)
  if (body === undefined || status === 408 || status === 425 || status >= 500 || status < 400) return later('busy', headers, nowMs)
  if (status === 401 && endpoint === 'other' && code !== 'invalid_credentials') return { kind: 'token-rejected' }
  if (code === undefined)
    return { kind: 'misconfigured', message: `the server answered ${status} without a code; is this a Nightlatch server?` }
  const message = stringField(body, 'error')
  return { kind: 'refused', code: REFUSALS.get(code) ?? code, ...(message === undefined ? {} : { message }) }
}

export function failureOf(answer: ReadAnswer, endpoint: Endpoint, nowMs: number): BackendFailure {
  return new BackendFailure(sortAnswer(answer, endpoint, nowMs), `The server answered ${answer.status}.`)
}

function overReason(body: unknown): OverReason | undefined {
  const end = TYPED_ENDS.get(stringField(body, 'code'))
  if (end) return end
  return stringField(body, 'error') === 'invalid_grant' ? 'unknown' : undefined
}

function stringField(body: unknown, name: string): string | undefined {
  if (typeof body !== 'object' || body === null || !Object.hasOwn(body, name)) return undefined
  const value: unknown = Reflect.get(body, name)
  return typeof value === 'string' ? value : undefined
}

function later(why: 'busy' | 'throttled', headers: Headers, nowMs: number): Outcome {
  const waitMs = retryAfterMs(headers, nowMs)
  return waitMs === undefined ? { kind: 'later', why } : { kind: 'later', why, retryAfterMs: waitMs }
}

/** Longest wait that a header can ask for; a proxy's odd date must not stop an app for a year. */
const MAX_RETRY_AFTER_MS = 3_600_000

/** `Retry-After` in either form (RFC 9110 section 10.2.3). A date is read against the answer's own `Date`, not this device's clock. */
export function retryAfterMs(headers: Headers, nowMs: number): number | undefined {
  const value = headers.get('Retry-After')
  if (value === null) return undefined
  const seconds = Number(value)
  const sentAtMs = Date.parse(headers.get('Date') ?? '')
  const waitMs = Number.isFinite(seconds) ? seconds * 1000 : Date.parse(value) - (Number.isNaN(sentAtMs) ? nowMs : sentAtMs)
  return Number.isFinite(waitMs) && waitMs >= 0 ? Math.min(waitMs, MAX_RETRY_AFTER_MS) : undefined
}
