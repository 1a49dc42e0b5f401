import type { IncomingMessage } from 'node:http'

/** What a request asks for on this origin: its path, percent-encoding resolved, and the same with its query as it was sent. */
export interface RequestTarget {
  readonly path: string
  readonly pathAndQuery: string
}

/**
 * The host in an absolute or `//host` target is dropped: requests go where this server sends them.
 *
 * @throws {TypeError | URIError} for a target that is no URL
 */
export function targetOf(request: IncomingMessage): RequestTarget {
  const url = new URL(request.url ?? '/', 'http://fieldbook')
  return { path: decodeURIComponent(url.pathname), pathAndQuery: `${url.pathname}${url.search}` }
}
