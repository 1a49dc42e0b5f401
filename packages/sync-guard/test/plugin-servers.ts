import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { onTestFinished } from 'vitest'

interface Request {
  readonly url: URL
  readonly method: string
  readonly token: string
  readonly body: unknown
}

interface Row {
  [field: string]: unknown
}

export interface PluginServer {
  readonly url: string
  readonly validTokens: Set<string>
  readonly rows: Map<string, Row>
  readonly requests: Request[]
  /** Tells whoever waits for changes. */
  changed(): void
}

type Reply = (status: number, body: unknown) => void
type Handle = (server: PluginServer & { sequence: number }, request: Request, reply: Reply, waiting: Set<() => void>) => void

async function start(handle: Handle): Promise<PluginServer> {
  const waiting = new Set<() => void>()
  const http = createServer((request, response) => {
    void readBody(request).then((body) => {
      const url = new URL(request.url ?? '/', 'http://localhost')
      const token = request.headers.authorization?.replace('Bearer ', '') ?? ''
      const seen = { url, method: request.method ?? 'GET', token, body }
      server.requests.push(seen)
      handle(server, seen, (status, answer) => send(response, status, answer), waiting)
    })
  })
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve))
  const server = {
    url: `http://127.0.0.1:${(http.address() as AddressInfo).port}`,
    validTokens: new Set<string>(),
    rows: new Map<string, Row>(),
    requests: [] as Request[],
    sequence: 0,
    changed: () => {
      for (const wake of waiting) wake()
      waiting.clear()
    },
  }
  onTestFinished(() => {
    http.closeAllConnections()
    http.close()
  })
  return server
}

/** As much of CouchDB as `replicateCouchDB` uses: `_changes` (normal and long poll), `_all_docs`, `_bulk_docs`. */
export function couchServer(): Promise<PluginServer> {
  return start((server, { url, token, body }, reply, waiting) => {
    if (!server.validTokens.has(token)) return reply(401, { error: 'unauthorized', reason: 'You are not authorized.' })
    if (url.pathname.endsWith('/_changes')) {
      const since = url.searchParams.get('since') === 'now' ? server.sequence : Number(url.searchParams.get('since') ?? 0)
      const found = () => [...server.rows.values()].filter(({ seq }) => Number(seq) > since)
      const answer = () => reply(200, { results: found().map(({ seq, doc }) => ({ seq, doc })), last_seq: server.sequence })
      if (url.searchParams.get('feed') === 'longpoll' && found().length === 0) waiting.add(answer)
      else answer()
      return
    }
    if (url.pathname.endsWith('/_all_docs')) {
      const keys = (body as { keys?: string[] } | undefined)?.keys ?? []
      return reply(200, { rows: keys.map((key) => ({ id: key, key, doc: server.rows.get(key)?.doc })) })
    }
    const docs = (body as { docs: Row[] }).docs
    const results = docs.map((doc) => {
      const id = String(doc._id)
      if (doc.text === 'bad') return { id, error: 'forbidden', reason: 'no' }
      server.sequence += 1
      server.rows.set(id, { seq: server.sequence, doc: { ...doc, _rev: `${server.sequence}-x` } })
      return { id, ok: true, rev: `${server.sequence}-x` }
    })
    server.changed()
    reply(201, results)
  })
}

/** A GraphQL endpoint that answers 200 to everything, as they do. */
export function graphqlServer(): Promise<PluginServer> {
  return start((server, { token, body }, reply) => {
    if (!server.validTokens.has(token)) return reply(200, { errors: [{ message: 'no', extensions: { code: 'UNAUTHENTICATED' } }] })
    const { query, variables } = body as { query: string; variables: { rows?: { newDocumentState: Row }[]; since?: number } }
    if (query.includes('push')) {
      const rows = variables.rows ?? []
      if (rows.some(({ newDocumentState }) => newDocumentState.text === 'bad')) {
        return reply(200, { errors: [{ message: 'no', extensions: { code: 'BAD_USER_INPUT' } }] })
      }
      for (const { newDocumentState } of rows) {
        server.sequence += 1
        server.rows.set(String(newDocumentState.id), { ...newDocumentState, seq: server.sequence })
      }
      return reply(200, { data: { push: [] } })
    }
    const documents = [...server.rows.values()]
      .filter(({ seq }) => Number(seq) > (variables.since ?? 0))
      .map(({ seq: _seq, ...doc }) => doc)
    reply(200, { data: { pull: { documents, checkpoint: { since: server.sequence } } } })
  })
}

/** As much of PostgREST as `replicateSupabase` uses: select, insert, update with equality filters. */
export function postgrestServer(): Promise<PluginServer> {
  return start((server, { url, method, token, body }, reply) => {
    if (!server.validTokens.has(token)) return reply(401, { code: 'PGRST301', message: 'JWT invalid', details: null, hint: null })
    if (method === 'GET') {
      const id = url.searchParams.get('id')?.replace('eq.', '')
      return reply(200, id ? [server.rows.get(id)] : [...server.rows.values()])
    }
    const row = body as Row
    if (row.text === 'bad') return reply(400, { code: '23514', message: 'violates check constraint', details: null, hint: null })
    server.sequence += 1
    const stored = { _deleted: false, ...row, _modified: new Date(server.sequence * 1000).toISOString() }
    if (method === 'POST') {
      if (server.rows.has(String(row.id))) return reply(409, { code: '23505', message: 'duplicate key', details: null, hint: null })
      server.rows.set(String(row.id), stored)
      return reply(201, null)
    }
    server.rows.set(String(row.id), stored)
    reply(200, [stored])
  })
}

function send(response: ServerResponse, status: number, body: unknown): void {
  if (response.destroyed) return
  response.writeHead(status, { 'content-type': 'application/json' })
  response.end(JSON.stringify(body))
}

async function readBody(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  const text = Buffer.concat(chunks).toString()
  return text === '' ? undefined : JSON.parse(text)
}
