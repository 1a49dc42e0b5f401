import { createHash } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { targetOf } from './request-target.ts'

/** One request that reached the link, whatever the link then did with it. */
export interface LinkRequest {
  /** When its headers arrived, milliseconds since 1970. */
  readonly startedAtMs: number
  readonly method: string
  /** Without the query. */
  readonly path: string
  /** Tells access tokens apart without holding one; `null` if the request carried none. */
  readonly tokenDigest: string | null
  /** When the answer was over or cut; `null` while it is open. */
  endedAtMs: number | null
}

const MAX_ENTRIES = 10_000

/** The newest requests in the order in which they were started. */
export class RequestLog {
  readonly #entries: LinkRequest[] = []

  get entries(): readonly LinkRequest[] {
    return this.#entries
  }

  record(request: IncomingMessage, response: ServerResponse): void {
    const entry: LinkRequest = {
      startedAtMs: Date.now(),
      method: request.method ?? 'GET',
      path: targetOf(request).path,
      tokenDigest: tokenDigest(request.headers.authorization),
      endedAtMs: null,
    }
    this.#entries.push(entry)
    if (this.#entries.length > MAX_ENTRIES) this.#entries.shift()
    response.once('close', () => {
      entry.endedAtMs = Date.now()
    })
  }
}

/** SHA-256 of the bearer token in an `Authorization` header. */
export function tokenDigest(authorization: string | undefined): string | null {
  const token = /^Bearer (\S+)$/i.exec(authorization ?? '')?.[1]
  return token ? createHash('sha256').update(token).digest('base64url') : null
}
