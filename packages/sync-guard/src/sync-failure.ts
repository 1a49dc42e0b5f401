/**
 * What became of a request that did not succeed, sorted where it was thrown. Closed: the guard's whole behaviour hangs on these.
 * RxDB keeps neither a status nor a cause on `error$`, so it cannot be sorted any later.
 */
export type SyncFailure =
  /** 401: the access token was not accepted. */
  | { readonly kind: 'token-rejected' }
  /** 403 for the whole collection. */
  | { readonly kind: 'forbidden'; readonly code?: string }
  /** These scopes are closed to the user; the others of the collection are not. */
  | { readonly kind: 'scope-revoked'; readonly scopes: readonly string[] }
  /** Something in this batch is not acceptable; which row is found by halving. */
  | { readonly kind: 'refused'; readonly code: string }
  /** 426: the server no longer speaks this version. */
  | { readonly kind: 'outdated-client' }
  /** No answer, or an answer that says "not now". */
  | { readonly kind: 'later'; readonly why: 'unreachable' | 'busy' | 'throttled'; readonly retryAfterMs?: number }
  /** 410: the checkpoint is of no use any more. */
  | { readonly kind: 'resync'; readonly why: 'resync-required' | 'server-restored' }
  /** None of these: a mistake in the handler. */
  | { readonly kind: 'bug' }

/** Knows the errors of one library or wire. Answers `undefined` for what it does not know, and the plain HTTP sorter is asked. */
export type SortFailure = (error: unknown, direction: Direction) => SyncFailure | undefined
export type Direction = 'pull' | 'push'

/** An answer of a server as far as sorting needs it. */
export interface HttpAnswer {
  readonly status: number
  /** The machine-readable code of a JSON body, if there was one. */
  readonly code?: string
  readonly retryAfterMs?: number
  /** Scopes that the body names, as `@nightlatch/server` does with `scope_denied`. */
  readonly scopes?: readonly string[]
}

/** Thrown by HTTP adapters. Carries the facts for sorting and no body. */
export class HttpFailure extends Error {
  override readonly name = 'HttpFailure'
  readonly answer: HttpAnswer | 'unreachable' | 'unreadable'

  constructor(answer: HttpFailure['answer'], options?: { readonly cause?: unknown }) {
    super(typeof answer === 'string' ? `The server's answer was ${answer}.` : `The server answered ${answer.status}.`, options)
    this.answer = answer
  }
}

export function sortHttpAnswer({ status, code, retryAfterMs }: HttpAnswer, direction: Direction): SyncFailure {
  const wait = retryAfterMs === undefined ? {} : { retryAfterMs }
  if (status === 401) return { kind: 'token-rejected' }
  if (status === 429) return { kind: 'later', why: 'throttled', ...wait }
  if (status === 408 || status === 425 || status >= 500) return { kind: 'later', why: 'busy', ...wait }
  if (status === 426) return { kind: 'outdated-client' }
  if (status === 410 && direction === 'pull')
    return { kind: 'resync', why: code === 'server_restored' ? 'server-restored' : 'resync-required' }
  if (status === 403) return code === undefined ? { kind: 'forbidden' } : { kind: 'forbidden', code }
  if (status < 400) return { kind: 'later', why: 'busy' } // a redirect or a portal's page where data was expected
  if (direction === 'push' && ROW_STATUSES.has(status) && !COLLECTION_CODES.has(code))
    return { kind: 'refused', code: code ?? `http_${status}` }
  return { kind: 'bug' }
}

const ROW_STATUSES: ReadonlySet<number> = new Set([400, 404, 409, 413, 422])
const COLLECTION_CODES: ReadonlySet<string | undefined> = new Set(['unknown_collection'])

/** Sorts what `fetch`, ky, axios and hand-written handlers throw: anything with a `status`, or with a `response` that has one. */
export function sortHttpFailure(error: unknown, direction: Direction): SyncFailure {
  if (error instanceof HttpFailure) return sortHttpFailureAnswer(error.answer, direction)
  const answer = httpAnswerOf(error) ?? httpAnswerOf(property(error, 'response'))
  if (answer) return sortHttpAnswer(answer, direction)
  if (isTimeout(error)) return { kind: 'later', why: 'busy' }
  if (isNetworkError(error)) return { kind: 'later', why: 'unreachable' }
  return { kind: 'bug' }
}

function sortHttpFailureAnswer(answer: HttpFailure['answer'], direction: Direction): SyncFailure {
  if (answer === 'unreachable') return { kind: 'later', why: 'unreachable' }
  if (answer === 'unreadable') return { kind: 'later', why: 'busy' }
  return sortHttpAnswer(answer, direction)
}

/** `Retry-After` in either of its two forms (RFC 9110 section 10.2.3). */
export function retryAfterMs(header: string | null | undefined, nowMs: number): number | undefined {
  if (!header) return undefined
  if (/^\d+$/.test(header.trim())) return Number(header) * 1000
  const atMs = Date.parse(header)
  return Number.isNaN(atMs) ? undefined : Math.max(0, atMs - nowMs)
}

function httpAnswerOf(value: unknown): HttpAnswer | undefined {
  const status = property(value, 'status') ?? property(value, 'statusCode')
  if (typeof status !== 'number' || status < 100 || status > 599) return undefined
  const code = property(value, 'code')
  const after = retryAfterHeader(property(value, 'headers'))
  return { status, ...(typeof code === 'string' && { code }), ...(after !== undefined && { retryAfterMs: after }) }
}

function retryAfterHeader(headers: unknown): number | undefined {
  const header = headers instanceof Headers ? headers.get('retry-after') : property(headers, 'retry-after')
  return typeof header === 'string' ? retryAfterMs(header, Date.now()) : undefined
}

function isTimeout(error: unknown): boolean {
  const name = property(error, 'name')
  return name === 'TimeoutError' || name === 'AbortError'
}

/** Engines tell a dead network only by the message of a TypeError; nothing else about it is machine-readable. */
function isNetworkError(error: unknown): boolean {
  if (property(error, 'code') === 'ERR_NETWORK') return true
  return error instanceof TypeError && NETWORK_MESSAGES.some((message) => error.message.startsWith(message))
}

const NETWORK_MESSAGES = ['fetch failed', 'Failed to fetch', 'NetworkError when attempting', 'Load failed', 'network error', 'terminated']

function property(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null && name in value ? (value as Record<string, unknown>)[name] : undefined
}
