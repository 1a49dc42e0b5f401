import type { ChangeBus } from './change-bus.ts'

/** Why the server closes a stream. */
export type StreamEnd = 'token_expired' | 'session_revoked' | 'shutdown'

const HEARTBEAT_MS = 20_000
/** The longest delay that timers take; a stream that long is cut and comes back. */
const MAX_DELAY_MS = 2 ** 31 - 1
/** Chunks a reader may lag behind. More would only repeat the same hint. */
const MAX_BACKLOG = 16
const encoder = new TextEncoder()

/**
 * The open event streams (HTML Standard, "Server-sent events"). All a stream says is "RESYNC": pull, there may be something.
 * That makes a lost or doubled hint harmless.
 */
export class StreamHub {
  readonly #byTopic = new Map<string, Set<EventStream>>()
  readonly #bySession = new Map<string, Set<EventStream>>()
  readonly #nowMs: () => number
  readonly #heartbeat: NodeJS.Timeout

  constructor(bus: ChangeBus, nowMs: () => number) {
    this.#nowMs = nowMs
    this.#heartbeat = setInterval(() => this.#each((stream) => stream.comment('hb')), HEARTBEAT_MS).unref()
    bus.listen((event) => {
      switch (event.kind) {
        case 'changed':
          return this.notify(event.collection, event.scope)
        case 'sessions-ended':
          return this.endSessions(event.sessionIds)
        case 'missed':
          return this.#each((stream) => stream.resync())
      }
    })
  }

  /** What somebody here listens to. */
  get topics(): readonly Topic[] {
    return [...this.#byTopic.keys()].map(readTopic)
  }

  get sessionIds(): readonly string[] {
    return [...this.#bySession.keys()]
  }

  get size(): number {
    let count = 0
    for (const streams of this.#bySession.values()) count += streams.size
    return count
  }

  /**
   * Registers a stream. Do so before the session is checked: a revocation committed after that check then finds the stream and cuts it.
   */
  open(sessionId: string, endsAtMs: number): EventStream {
    const stream = new EventStream(endsAtMs - this.#nowMs())
    join(this.#bySession, sessionId, stream)
    return stream
  }

  /** Tells `stream` of changes from now on; what was committed before is for its first pull to find. */
  subscribe(stream: EventStream, { collection, scope }: Topic): void {
    if (!stream.ended) join(this.#byTopic, topicOf(collection, scope), stream)
  }

  close(): void {
    clearInterval(this.#heartbeat)
    this.#each((stream) => stream.end('shutdown'))
  }

  notify(collection: string, scope: string): void {
    for (const stream of this.#byTopic.get(topicOf(collection, scope)) ?? []) stream.resync()
  }

  endSessions(sessionIds: readonly string[]): void {
    for (const id of sessionIds) for (const stream of this.#bySession.get(id) ?? []) stream.end('session_revoked')
  }

  #each(act: (stream: EventStream) => void): void {
    for (const streams of this.#bySession.values()) for (const stream of streams) act(stream)
  }
}

export class EventStream {
  readonly body: ReadableStream<Uint8Array>
  readonly #leave: (() => void)[] = []
  readonly #expiry: NodeJS.Timeout
  #sink: ReadableStreamDefaultController<Uint8Array> | undefined
  #ended: StreamEnd | undefined
  /** A hint found the queue full; it is sent when the reader has caught up. */
  #owesResync = false

  constructor(lifeMs: number) {
    this.#expiry = setTimeout(() => this.end('token_expired'), Math.min(Math.max(lifeMs, 0), MAX_DELAY_MS)).unref()
    this.body = new ReadableStream<Uint8Array>(
      {
        start: (sink) => {
          this.#sink = sink
        },
        pull: () => {
          if (this.#owesResync) this.resync()
        },
        cancel: () => this.abandon(),
      },
      { highWaterMark: MAX_BACKLOG },
    )
  }

  /** Set when the stream was ended, also before its response was sent. */
  get ended(): StreamEnd | undefined {
    return this.#ended
  }

  resync(): void {
    this.#owesResync = !this.#write('data: "RESYNC"\n\n')
  }

  comment(text: string): void {
    this.#write(`: ${text}\n\n`)
  }

  end(code: StreamEnd): void {
    if (this.#ended) return
    this.#sink?.enqueue(encoder.encode(`event: end\ndata: ${JSON.stringify({ code })}\n\n`))
    this.#sink?.close()
    this.#ended = code
    this.abandon()
  }

  /** The reader is gone. */
  abandon(): void {
    this.#sink = undefined
    clearTimeout(this.#expiry)
    for (const leave of this.#leave.splice(0)) leave()
  }

  /** Calls `leave` when the stream is over, however it ends. */
  onGone(leave: () => void): void {
    this.#leave.push(leave)
  }

  #write(chunk: string): boolean {
    if (!this.#sink || (this.#sink.desiredSize ?? 0) <= 0) return false
    this.#sink.enqueue(encoder.encode(chunk))
    return true
  }
}

export interface Topic {
  readonly collection: string
  readonly scope: string
}

/** Names of collections hold no space. */
const topicOf = (collection: string, scope: string) => `${collection} ${scope}`

function readTopic(topic: string): Topic {
  const space = topic.indexOf(' ')
  return { collection: topic.slice(0, space), scope: topic.slice(space + 1) }
}

function join(index: Map<string, Set<EventStream>>, key: string, stream: EventStream): void {
  const streams = index.get(key) ?? new Set()
  index.set(key, streams.add(stream))
  stream.onGone(() => {
    streams.delete(stream)
    if (streams.size === 0 && index.get(key) === streams) index.delete(key)
  })
}
