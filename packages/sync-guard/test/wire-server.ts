import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

interface Stored {
  readonly document: Record<string, unknown> & { readonly _deleted: boolean }
  readonly sequence: number
}

export interface SeenRequest {
  readonly atMs: number
  readonly token: string
  readonly action: string
  readonly collection: string
  /** Ids of the pushed rows. */
  readonly ids: readonly string[]
}

export type Fault = (request: SeenRequest) => Answer | undefined | Promise<Answer | undefined>
export type Answer =
  | { readonly status: number; readonly body?: unknown; readonly headers?: Record<string, string>; readonly html?: boolean }
  /** Does what was asked and then breaks the connection. */
  | 'cut-after'
  /** Does what was asked and says nothing. */
  | 'never-answer'
  | 'cut-before'

/** A small server that speaks the wire of `@nightlatch/server` over real HTTP, and remembers who asked what when. */
export class WireServer {
  readonly requests: SeenRequest[] = []
  readonly validTokens = new Set<string>()
  /** Document ids by the token that brought them. */
  readonly writers = new Map<string, string[]>()
  fault: Fault = () => undefined
  /** Files for a browser, by path. */
  readonly pages = new Map<string, { readonly type: string; readonly body: string }>()
  delayMs = 0
  #documents = new Map<string, Map<string, Stored>>()
  #sequence = 0
  #incarnation = 'one'
  readonly #streams = new Set<ServerResponse>()
  readonly #server = createServer((request, response) => void this.#handle(request, response))
  url = ''

  static async start(): Promise<WireServer> {
    const server = new WireServer()
    await new Promise<void>((resolve) => server.#server.listen(0, '127.0.0.1', resolve))
    server.url = `http://127.0.0.1:${(server.#server.address() as AddressInfo).port}`
    return server
  }

  async stop(): Promise<void> {
    for (const stream of this.#streams) stream.destroy()
    this.#server.closeAllConnections()
    await new Promise((resolve) => this.#server.close(resolve))
  }

  documents(collection: string): Record<string, unknown>[] {
    return [...this.#collection(collection).values()].map(({ document }) => document)
  }

  document(collection: string, id: string): Record<string, unknown> | undefined {
    return this.#collection(collection).get(id)?.document
  }

  put(collection: string, document: Record<string, unknown>): void {
    this.#store(collection, { _deleted: false, ...document })
    this.#tellStreams()
  }

  /** As if it had never been there: no tombstone. */
  forget(collection: string, id: string): void {
    this.#collection(collection).delete(id)
  }

  /** As when it is updated together with the app: its documents get the new shape, and nobody has anything to pull. */
  migrate(collection: string, change: (document: Record<string, unknown>) => Record<string, unknown>): void {
    const documents = this.#collection(collection)
    for (const [id, { document, sequence }] of documents) documents.set(id, { document: { ...document, ...change(document) }, sequence })
  }

  restore(incarnation: string): void {
    this.#incarnation = incarnation
    this.#tellStreams()
  }

  cutStreams(): void {
    for (const stream of this.#streams) stream.destroy()
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', this.url)
    const page = this.pages.get(url.pathname)
    if (page) return void response.writeHead(200, { 'content-type': page.type }).end(page.body)
    const [, , , collection = '', , action = ''] = url.pathname.split('/')
    const token = request.headers.authorization?.replace('Bearer ', '') ?? ''
    const atMs = performance.now()
    const body = request.method === 'POST' ? await readJson(request) : undefined
    const rows = Array.isArray(body) ? (body as { newDocumentState: Stored['document']; assumedMasterState?: Stored['document'] }[]) : []
    const seen = { atMs, token, action, collection, ids: rows.map((row) => String(row.newDocumentState.id)) }
    this.requests.push(seen)
    if (this.delayMs > 0) await new Promise((resolve) => setTimeout(resolve, this.delayMs))
    const fault = await this.fault(seen)
    if (fault === 'cut-before') return void response.destroy()
    if (fault && typeof fault !== 'string') return reply(response, fault)
    if (!this.validTokens.has(token)) return reply(response, { status: 401, body: { error: 'no', code: 'token_invalid' } })
    if (action === 'stream') return this.#stream(response)
    const answer = action === 'pull' ? this.#pull(collection, url) : this.#push(collection, rows, token)
    if (fault === 'cut-after') return void response.destroy()
    if (fault === 'never-answer') return
    reply(response, answer)
  }

  #pull(collection: string, url: URL): { status: number; body: unknown } {
    const limit = Number(url.searchParams.get('limit') ?? 100)
    const json = url.searchParams.get('checkpoint')
    const checkpoint = json ? (JSON.parse(json) as { incarnation: string; scopes: { mine?: number } }) : undefined
    if (checkpoint && checkpoint.incarnation !== this.#incarnation) return { status: 410, body: { error: 'gone', code: 'server_restored' } }
    const since = checkpoint?.scopes.mine ?? 0
    const found = [...this.#collection(collection).values()]
      .filter(({ sequence }) => sequence > since)
      .sort((a, b) => a.sequence - b.sequence)
    const page = found.slice(0, limit)
    const last = page.at(-1)?.sequence ?? since
    return {
      status: 200,
      body: { documents: page.map(({ document }) => document), checkpoint: { incarnation: this.#incarnation, scopes: { mine: last } } },
    }
  }

  #push(collection: string, rows: { newDocumentState: Stored['document']; assumedMasterState?: Stored['document'] }[], token: string) {
    const conflicts: unknown[] = []
    const documents = this.#collection(collection)
    for (const { newDocumentState, assumedMasterState } of rows) {
      const id = String(newDocumentState.id)
      const current = documents.get(id)?.document
      const same = (a: unknown, b: unknown) => canonical(a) === canonical(b)
      if (current && !same(current, assumedMasterState) && !same(current, newDocumentState)) {
        conflicts.push(current)
        continue
      }
      if (same(current, newDocumentState)) continue
      this.#store(collection, newDocumentState)
      this.writers.set(token, [...(this.writers.get(token) ?? []), id])
    }
    this.#tellStreams()
    return { status: 200, body: { conflicts, rejected: [] } }
  }

  #stream(response: ServerResponse): void {
    response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' })
    response.write('data: "RESYNC"\n\n')
    this.#streams.add(response)
    response.on('close', () => this.#streams.delete(response))
  }

  #tellStreams(): void {
    for (const stream of this.#streams) stream.write('data: "RESYNC"\n\n')
  }

  #collection(name: string): Map<string, Stored> {
    const known = this.#documents.get(name)
    if (known) return known
    const collection = new Map<string, Stored>()
    this.#documents.set(name, collection)
    return collection
  }

  #store(collection: string, document: Stored['document'] | Record<string, unknown>): void {
    this.#sequence += 1
    this.#collection(collection).set(String(document.id), { document: document as Stored['document'], sequence: this.#sequence })
  }
}

function canonical(value: unknown): string {
  return JSON.stringify(value, (_, inner: unknown) =>
    typeof inner === 'object' && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  )
}

function reply(response: ServerResponse, { status, body, headers, html }: Exclude<Answer, string>): void {
  response.writeHead(status, { 'content-type': html ? 'text/html' : 'application/json', 'cache-control': 'no-store', ...headers })
  response.end(html ? String(body) : JSON.stringify(body ?? {}))
}

async function readJson(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  return JSON.parse(Buffer.concat(chunks).toString() || 'null')
}
