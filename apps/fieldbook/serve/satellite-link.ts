import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http'
import { Agent, request as sendRequest } from 'node:http'
import { pipeline } from 'node:stream'
import { answerError } from './answer.ts'
import { drip } from './drip.ts'
import type { LinkMode, LinkPace } from './link-mode.ts'
import { SLOW_PACE } from './link-mode.ts'
import type { LinkRequest } from './request-log.ts'
import { RequestLog } from './request-log.ts'
import { targetOf } from './request-target.ts'

/** Headers that belong to one connection and not to the message (RFC 9110 section 7.6.1). */
const HOP_BY_HOP = [
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]

/** The development routes are for the shore: nothing on this side of the link may call them. */
const NOT_FORWARDED = /^\/v1\/dev(\/|$)/

/** A bad satellite link: stands between the fieldbook's origin and the server, and can be made to fail in the ways such links do. */
export class SatelliteLink {
  readonly #server: URL
  readonly #slowPace: LinkPace
  readonly #agent = new Agent({ keepAlive: true })
  readonly #log = new RequestLog()
  readonly #open = new Set<ServerResponse>()
  #mode: LinkMode = 'up'

  constructor(server: URL, slowPace: LinkPace = SLOW_PACE) {
    this.#server = server
    this.#slowPace = slowPace
  }

  get mode(): LinkMode {
    return this.#mode
  }

  /** Everything that was sent to the server since the start, also what never reached it. */
  get requests(): readonly LinkRequest[] {
    return this.#log.entries
  }

  setMode(mode: LinkMode): void {
    this.#mode = mode
    if (mode === 'down' || mode === 'portal') this.#cutOpenConnections()
  }

  handle(request: IncomingMessage, response: ServerResponse): void {
    this.#log.record(request, response)
    this.#open.add(response)
    response.once('close', () => this.#open.delete(response))
    switch (this.#mode) {
      case 'down':
        request.socket.destroy()
        return
      case 'portal':
        request.resume()
        response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' }).end(PORTAL_PAGE)
        return
      case 'up':
      case 'slow':
        this.#forward(request, response)
    }
  }

  /** Ends all sessions of a user at the server, whatever the link does: somebody ashore pressed the button. */
  async revokeSessions(userId: string): Promise<number> {
    const answer = await fetch(new URL('/v1/dev/revoke-sessions', this.#server), {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ user_id: userId }),
    })
    if (!answer.ok) throw new Error(`The server answered ${answer.status}. Is it running with --dev-routes?`)
    const body: unknown = await answer.json()
    return typeof body === 'object' && body !== null && 'revoked' in body && typeof body.revoked === 'number' ? body.revoked : 0
  }

  close(): void {
    this.#cutOpenConnections()
    this.#agent.destroy()
  }

  #cutOpenConnections(): void {
    for (const response of this.#open) response.socket?.destroy()
  }

  #forward(request: IncomingMessage, response: ServerResponse): void {
    const { path, pathAndQuery } = targetOf(request)
    if (NOT_FORWARDED.test(path)) {
      request.resume()
      answerError(response, 404, 'not_found', 'Development routes are not reachable over the link.')
      return
    }
    const slow = this.#mode === 'slow'
    const upstream = sendRequest(new URL(pathAndQuery, this.#server), {
      method: request.method,
      headers: { ...endToEnd(request.headers), host: this.#server.host },
      agent: this.#agent,
    })
    // Errors of a pipeline end in `error` of the upstream request or in a closed response; both are handled below.
    pipeline(slow ? [request, drip(this.#slowPace), upstream] : [request, upstream], () => {})
    upstream.on('response', (answer) => {
      response.writeHead(answer.statusCode ?? 502, endToEnd(answer.headers))
      response.flushHeaders()
      pipeline(slow ? [answer, drip(this.#slowPace), response] : [answer, response], () => {})
    })
    upstream.on('error', () => {
      if (response.headersSent) response.destroy()
      else if (!response.destroyed) answerError(response, 502, 'server_unreachable', 'The link is up, but the server does not answer.')
    })
    response.once('close', () => upstream.destroy())
  }
}

function endToEnd(headers: IncomingHttpHeaders): IncomingHttpHeaders {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !HOP_BY_HOP.includes(name)))
}

const PORTAL_PAGE = `<!doctype html>
<html lang="en"><head><title>Polar Link</title></head>
<body><h1>Welcome to Polar Link</h1><p>Your prepaid minutes are used up. Please log in to buy more.</p>
<form method="post"><input name="voucher" aria-label="Voucher"><button>Connect</button></form></body></html>
`
