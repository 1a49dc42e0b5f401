import type { WithDeleted } from 'rxdb/plugins/core'
import type { SendContext } from '../lane.ts'
import type { GuardedPull, GuardedPush, ReplicationScopes, StreamItem } from '../replication-options.ts'
import { SyncError } from '../sync-error.ts'
import { type Direction, HttpFailure, retryAfterMs, type SortFailure, type SyncFailure, sortHttpFailure } from '../sync-failure.ts'
import { readEventStream } from './event-stream.ts'

/** The server's own, opaque to the client but for its shape: one counter per scope. */
export interface HttpCheckpoint {
  readonly incarnation: string
  readonly scopes: Readonly<Record<string, number>>
}

export interface HttpReplicationOptions {
  /** Its origin, such as `https://api.example.org`. */
  readonly server: string
  /** The server's name of the collection. */
  readonly collection: string
  readonly schemaVersion?: number
  /** The scopes to pull. Default `["mine"]`. */
  readonly read?: readonly string[]
  /** The scope to push to, or several with a `scopeField`; `false`: this collection is read-only. Default `"mine"`. */
  readonly write?: string | readonly string[] | false
  /** The field that tells a document's scope, where there are several. Documents without it belong to the first of `write`. */
  readonly scopeField?: string
  /** Documents per pull, and rows per push. Default 100. */
  readonly batchSize?: number
  readonly fetch?: typeof globalThis.fetch
  /** How long a silent stream is trusted, in milliseconds; the server's heartbeat comes every 20 s. Default 45_000. */
  readonly streamSilenceMs?: number
  /** How long a request may take. Default 30_000. */
  readonly requestTimeoutMs?: number
}

export interface HttpReplication<Doc> {
  readonly pull: GuardedPull<Doc, HttpCheckpoint>
  readonly push?: GuardedPush<Doc>
  readonly scopes: ReplicationScopes<Doc, HttpCheckpoint>
  readonly sortFailure: SortFailure
  readonly origin: string
}

/**
 * Handlers for the wire of `@nightlatch/server`, to be spread into `guard.replicate`. Bodies never reach errors, and the token only the header.
 *
 * @throws {SyncError} `invalid-argument`: several scopes to push to, and no `scopeField` that says which a document goes to
 */
export function httpReplication<Doc>(options: HttpReplicationOptions): HttpReplication<Doc> {
  const { server, collection, schemaVersion = 0, read = [MINE], batchSize = 100, scopeField } = options
  const write = writeScopes(options)
  const send = sender(options)
  const scopeOf = scopeReader<Doc>([...read, ...write], write[0], scopeField)
  const url = (action: string, scopes: readonly string[], query: Record<string, string> = {}) => {
    const target = new URL(`/v1/sync/${encodeURIComponent(collection)}/${schemaVersion}/${action}`, server)
    for (const scope of scopes) target.searchParams.append('scope', scope)
    for (const [name, value] of Object.entries(query)) target.searchParams.set(name, value)
    return target
  }

  const pull: GuardedPull<Doc, HttpCheckpoint> = {
    batchSize,
    async handler(checkpoint, limit, context) {
      const query = { limit: String(limit), ...(checkpoint && { checkpoint: JSON.stringify(checkpoint) }) }
      const answer = await send.json(url('pull', context.scopes, query), { method: 'GET' }, context)
      return { documents: arrayOf<WithDeleted<Doc>>(answer, 'documents'), checkpoint: checkpointOf(answer) }
    },
    stream: (context) => send.stream<Doc>(url('stream', context.scopes), context),
  }
  const scopes: ReplicationScopes<Doc, HttpCheckpoint> = { read, write, ...(scopeOf && { of: scopeOf }), without }
  const shared = { pull, scopes, sortFailure, origin: new URL(server).origin }
  if (write.length === 0) return shared

  const push: GuardedPush<Doc> = {
    batchSize,
    ...(scopeOf && { writable: (document) => write.includes(scopeOf(document)) }),
    async handler(rows, context) {
      const headers = { 'content-type': 'application/json', 'idempotency-key': context.idempotencyKey.slice(0, 255) }
      const answer = await send.json(url('push', context.scopes), { method: 'POST', headers, body: JSON.stringify(rows) }, context)
      return {
        conflicts: arrayOf<WithDeleted<Doc>>(answer, 'conflicts'),
        rejected: arrayOf<{ id: string; code: string }>(answer, 'rejected'),
      }
    },
  }
  return { ...shared, push }
}

/** The user's own scope. Nobody takes it away: its refusal is a mistake in the server's configuration, and no reason to remove a document. */
const MINE = 'mine'

function writeScopes({ write = MINE, scopeField }: HttpReplicationOptions): readonly string[] {
  if (write === false) return []
  const scopes = typeof write === 'string' ? [write] : write
  if (scopes.length < 2 || scopeField !== undefined) return scopes
  throw new SyncError('invalid-argument', 'To push to several scopes name the `scopeField` that says which of them a document belongs to.')
}

/** `undefined`: documents do not tell. */
function scopeReader<Doc>(scopes: readonly string[], fallback: string | undefined, scopeField: string | undefined) {
  const [first = '', ...others] = new Set(scopes)
  if (scopeField === undefined) return others.length === 0 ? () => first : undefined
  return (document: Doc) => {
    const scope = fieldOf(document, scopeField)
    return typeof scope === 'string' ? scope : (fallback ?? first)
  }
}

function without(checkpoint: HttpCheckpoint, scopes: readonly string[]): HttpCheckpoint {
  const others = Object.entries(checkpoint.scopes).filter(([scope]) => !scopes.includes(scope))
  return { ...checkpoint, scopes: Object.fromEntries(others) }
}

function sortFailure(error: unknown, direction: Direction): SyncFailure {
  const answer = error instanceof HttpFailure && typeof error.answer === 'object' ? error.answer : undefined
  const { status, code, scopes = [] } = answer ?? {}
  const isRevocation = status === 403 && code === 'scope_denied' && scopes.length > 0 && !scopes.includes(MINE)
  return isRevocation ? { kind: 'scope-revoked', scopes } : sortHttpFailure(error, direction)
}

function sender({
  fetch = (input, init) => globalThis.fetch(input, init),
  streamSilenceMs = 45_000,
  requestTimeoutMs = 30_000,
}: HttpReplicationOptions) {
  const request = async (url: URL, init: RequestInit, token: string, signal: AbortSignal): Promise<Response> => {
    const headers = new Headers(init.headers)
    if (token !== '') headers.set('authorization', `Bearer ${token}`)
    const credentials = token === '' ? 'include' : 'omit'
    const response = await fetch(url, { ...init, headers, signal, credentials, redirect: 'error', cache: 'no-store' }).catch(
      (error: unknown) => {
        throw new HttpFailure('unreachable', { cause: error })
      },
    )
    if (response.ok) return response
    const body: unknown = isJson(response) ? await response.json().catch(() => undefined) : undefined
    const [code, scopes] = [codeOf(body), scopesOf(body)]
    const after = retryAfterMs(response.headers.get('retry-after'), Date.now())
    throw new HttpFailure({
      status: response.status,
      ...(code !== undefined && { code }),
      ...(scopes && { scopes }),
      ...(after !== undefined && { retryAfterMs: after }),
    })
  }

  return {
    async json(url: URL, init: RequestInit, { token, signal }: SendContext): Promise<unknown> {
      const limited = withTimeout(signal, requestTimeoutMs)
      try {
        const response = await request(url, init, token, limited.signal)
        // A captive portal answers 200 with a page; a proxy may cut a body.
        if (!isJson(response)) throw new HttpFailure('unreadable')
        return (await response.json().catch(() => {
          throw new HttpFailure('unreadable')
        })) as unknown
      } finally {
        limited.done()
      }
    },

    async *stream<Doc>(url: URL, { token, signal }: SendContext): AsyncGenerator<StreamItem<Doc, HttpCheckpoint>> {
      const living = withTimeout(signal, streamSilenceMs)
      try {
        const response = await request(url, { headers: { accept: 'text/event-stream' } }, token, living.signal)
        if (!response.body || !response.headers.get('content-type')?.startsWith('text/event-stream')) throw new HttpFailure('unreadable')
        for await (const event of readEventStream(response.body, living.renew)) {
          if (event.name === 'end') return
          if (event.name === 'message') yield streamItem<Doc>(event.data)
        }
      } catch (error) {
        throw error instanceof HttpFailure ? error : new HttpFailure('unreachable', { cause: error })
      } finally {
        living.done()
      }
    },
  }
}

/** Aborts with `signal`, or when `renew` was not called for this long. */
function withTimeout(signal: AbortSignal, ms: number) {
  const controller = new AbortController()
  const expire = () => controller.abort(new HttpFailure('unreachable'))
  const follow = () => controller.abort(signal.reason)
  let timer = setTimeout(expire, ms)
  if (signal.aborted) follow()
  signal.addEventListener('abort', follow, { once: true })
  const done = () => {
    clearTimeout(timer)
    signal.removeEventListener('abort', follow)
  }
  const renew = () => {
    clearTimeout(timer)
    timer = setTimeout(expire, ms)
  }
  return { signal: controller.signal, renew, done }
}

function streamItem<Doc>(data: string): StreamItem<Doc, HttpCheckpoint> {
  const item: unknown = parse(data)
  if (item === 'RESYNC') return 'RESYNC'
  return { documents: arrayOf<WithDeleted<Doc>>(item, 'documents'), checkpoint: checkpointOf(item) }
}

function parse(data: string): unknown {
  try {
    return JSON.parse(data)
  } catch {
    throw new HttpFailure('unreadable')
  }
}

function arrayOf<T>(body: unknown, field: string): T[] {
  const value = fieldOf(body, field)
  if (Array.isArray(value)) return value as T[]
  throw new HttpFailure('unreadable')
}

function checkpointOf(body: unknown): HttpCheckpoint {
  const value = fieldOf(body, 'checkpoint')
  if (fieldOf(value, 'scopes') !== undefined) return value as HttpCheckpoint
  throw new HttpFailure('unreadable')
}

function codeOf(body: unknown): string | undefined {
  const code = fieldOf(body, 'code')
  return typeof code === 'string' ? code : undefined
}

function scopesOf(body: unknown): string[] | undefined {
  const scopes = fieldOf(body, 'scopes')
  return Array.isArray(scopes) ? scopes.filter((scope) => typeof scope === 'string') : undefined
}

function fieldOf(body: unknown, field: string): unknown {
  return typeof body === 'object' && body !== null ? (body as Record<string, unknown>)[field] : undefined
}

function isJson(response: Response): boolean {
  return /^application\/([\w.-]+\+)?json/.test(response.headers.get('content-type') ?? '')
}
