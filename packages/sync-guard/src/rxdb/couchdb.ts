import type { AttachParts } from '../attach.ts'
import type { SortFailure } from '../sync-failure.ts'
import { read } from './read.ts'

/**
 * The `fetch` for `replicateCouchDB`: its long poll, which dies for good when it is answered 401, waits instead.
 *
 * @example guard.attach((g) => replicateCouchDB({ …, fetch: couchdbFetch(g), autoStart: false, waitForLeadership: false }), { sortFailure: sortCouchdbFailure })
 */
export function couchdbFetch(parts: AttachParts): typeof globalThis.fetch {
  return (input, init) => {
    const url = input instanceof Request ? input.url : String(input)
    return new URL(url).searchParams.get('feed') === 'longpoll' ? parts.patientFetch(input, init) : parts.fetch(input, init)
  }
}

/** Knows the answers of CouchDB as `replicateCouchDB` hands them on: bodies with `error`, and rows of `_bulk_docs` that were not taken. */
export const sortCouchdbFailure: SortFailure = (error) => {
  const args = read(error, 'parameters', 'args')
  const row = read(args, 'writeResultRow', 'error')
  if (typeof row === 'string') return { kind: 'refused', code: row }
  switch (read(args, 'jsonResponse', 'error')) {
    case 'unauthorized':
      return { kind: 'token-rejected' }
    case 'forbidden':
      return { kind: 'forbidden', code: 'forbidden' }
    case 'timeout':
    case 'internal_server_error':
    case 'service_unavailable':
      return { kind: 'later', why: 'busy' }
    default:
      return error instanceof SyntaxError ? { kind: 'later', why: 'busy' } : undefined
  }
}
