import { type Gate, untilAborted } from './gate.ts'
import type { Pacer, Ticket } from './pacer.ts'
import type { RevokedScopes } from './revoked-scopes.ts'
import { SyncError } from './sync-error.ts'
import type { TellEvent } from './sync-events.ts'
import { type Direction, type SortFailure, type SyncFailure, sortHttpFailure } from './sync-failure.ts'
import type { SyncSession } from './sync-session.ts'
import type { BlockedCause } from './sync-state.ts'
import type { TokenSource } from './token-source.ts'

/** What a handler gets besides RxDB's own arguments. */
export interface SendContext {
  /** Put it on the request. `""`: a cookie authenticates. */
  readonly token: string
  /** Aborts when sync halts. A handler that honours it makes halting faster. */
  readonly signal: AbortSignal
  readonly session: SyncSession
  /** 1 for the first try of this call. */
  readonly attempt: number
  /** Which scopes to ask for, or to push to: those of `replicate({ scopes })` without the ones that the server has closed to the user. */
  readonly scopes: readonly string[]
}

export type Answer<T> =
  | { readonly kind: 'answered'; readonly value: T }
  | { readonly kind: 'closed' }
  | Extract<SyncFailure, { kind: 'refused' | 'resync' | 'scope-revoked' }>

/** Everything that talks to one origin shares this: trouble there is everybody's trouble. */
export interface Origin {
  readonly pacer: Pacer
  /** The last token that it accepted. */
  acceptedToken: string | undefined
}

export interface LaneOptions {
  readonly direction: Direction
  readonly collection: string
  readonly session: SyncSession
  readonly gate: Gate
  readonly tokens: TokenSource
  readonly stillLeads: () => Promise<boolean>
  readonly stoodStill: () => boolean
  readonly origin: Origin
  /** For trouble that concerns this collection and direction alone. */
  readonly pacer: Pacer
  readonly sort: SortFailure | undefined
  readonly scopes: RevokedScopes
  readonly tell: TellEvent
  readonly emitError: (error: SyncError) => void
  readonly changed: () => void
}

export interface Preparation {
  /** Done before each try, while the request can still be held back. */
  readonly prepare?: () => Promise<void>
  /** Whether what was prepared still holds; if not it is prepared again. */
  readonly isReady?: () => boolean
}

interface Pass {
  readonly token: string
  readonly own: Ticket
  readonly origin: Ticket
}

/** One direction of one replication: the only way by which its requests leave. */
export class Lane {
  readonly #options: LaneOptions
  /** When a request stops being worth waiting for: a pull as soon as the gate closes, a push at its deadline. */
  readonly #abandon: AbortSignal
  #parked = 0
  #inFlight = 0

  constructor(options: LaneOptions) {
    this.#options = options
    this.#abandon = options.direction === 'pull' ? options.gate.closing : options.gate.cutting
  }

  get parked(): number {
    return this.#parked
  }

  get inFlight(): number {
    return this.#inFlight
  }

  get blocked(): BlockedCause | undefined {
    const cause = this.#options.pacer.waiting?.cause ?? this.#options.origin.pacer.waiting?.cause
    return cause === 'later' ? undefined : cause
  }

  /**
   * Sends until there is an answer, however long that takes: waits for a token, for the network and for its turn, refreshes once and repeats
   * once after a 401. Never rejects: to RxDB a thrown error is a reason to repeat blindly every five seconds.
   *
   * @param request started in the same turn in which `isReady` has said yes
   */
  async send<T>(request: (context: SendContext) => Promise<T>, { prepare, isReady = () => true }: Preparation = {}): Promise<Answer<T>> {
    const { gate, stoodStill } = this.#options
    let refreshed = false
    for (let attempt = 1; ; attempt += 1) {
      const pass = await this.#pass(prepare)
      if (!pass) return { kind: 'closed' }
      if (!gate.open || stoodStill() || !isReady()) {
        pass.own.dropped()
        pass.origin.dropped()
        continue
      }

      const result = await this.#try(request, pass.token, attempt)
      if (isAnswer(result)) {
        this.#options.origin.acceptedToken = pass.token
        pass.own.succeeded()
        pass.origin.succeeded()
        return result
      }
      if (result.kind === 'token-rejected' && !refreshed) this.#refresh(pass)
      else this.#wait(pass, result)
      refreshed = result.kind === 'token-rejected'
    }
  }

  /** Parks a call that can neither be sent nor answered. */
  async hold(until: Promise<void>): Promise<void> {
    this.#park(1)
    await until.finally(() => this.#park(-1))
  }

  /** Parks until this lane may send. `undefined`: the gate has closed. */
  async #pass(prepare: Preparation['prepare']): Promise<Pass | undefined> {
    const { gate, tokens, origin, pacer } = this.#options
    const tickets: Ticket[] = []
    this.#park(1)
    try {
      const own = await pacer.turn(gate.closing)
      if (own) tickets.push(own)
      const shared = own && (await origin.pacer.turn(gate.closing))
      if (shared) tickets.push(shared)
      if (shared) await prepare?.()
      if (shared && !(await this.#options.stillLeads())) return undefined
      const token = shared && (await untilAborted(tokens.current(), gate.closing).catch(() => undefined))
      if (own && shared && token !== undefined && gate.open) {
        const pass = { own, origin: shared, token }
        tickets.length = 0
        return pass
      }
      return undefined
    } finally {
      for (const ticket of tickets) ticket.dropped()
      this.#park(-1)
    }
  }

  async #try<T>(request: (context: SendContext) => Promise<T>, token: string, attempt: number): Promise<Answer<T> | SyncFailure> {
    const { session, direction, sort, scopes } = this.#options
    const { ask, open } = scopes.toAsk(direction)
    this.#fly(1)
    try {
      const value = await untilAborted(request({ token, signal: this.#abandon, session, attempt, scopes: ask }), this.#abandon)
      return { kind: 'answered', value }
    } catch (error) {
      if (this.#abandon.aborted) return { kind: 'closed' }
      const failure = sort?.(error, direction) ?? sortHttpFailure(error, direction)
      if (failure.kind === 'bug') this.#report(error)
      // Nothing new, such as the refusal of the last one: the collection waits as for any other permission.
      if (failure.kind === 'scope-revoked' && !failure.scopes.some((scope) => open.includes(scope))) return { kind: 'forbidden' }
      return failure
    } finally {
      this.#fly(-1)
    }
  }

  #refresh({ token, own, origin }: Pass): void {
    this.#options.tell({ type: 'token-rejected', collection: this.#options.collection, again: false })
    own.dropped()
    origin.dropped()
    this.#options.tokens.reject(token)
  }

  #wait({ token, own, origin }: Pass, failure: SyncFailure | { readonly kind: 'closed' }): void {
    switch (failure.kind) {
      case 'later':
        own.dropped()
        origin.failed('later', failure.retryAfterMs)
        this.#tellBackOff(failure.why)
        break
      case 'token-rejected': {
        // A token that others still use here with success is this collection's trouble only.
        const mine = this.#options.origin.acceptedToken === token
        this.#options.tell({ type: 'token-rejected', collection: this.#options.collection, again: true })
        this.#block(mine ? own : origin, mine ? origin : own, 'token-rejected')
        break
      }
      case 'forbidden':
        this.#block(own, origin, 'forbidden', failure.code)
        break
      case 'outdated-client':
      case 'bug':
        this.#block(own, origin, failure.kind)
        break
      case 'refused':
      case 'resync':
      case 'scope-revoked':
      case 'closed':
        own.dropped()
        origin.dropped()
    }
  }

  #block(failed: Ticket, other: Ticket, cause: BlockedCause, code?: string): void {
    other.dropped()
    failed.failed(cause)
    const { collection, tell, pacer, origin } = this.#options
    const retryAtMs = (pacer.waiting ?? origin.pacer.waiting)?.retryAtMs ?? 0
    tell({ type: 'blocked', collection, cause, retryAtMs, ...(code !== undefined && { code }) })
  }

  #tellBackOff(why: string): void {
    const { collection, tell, origin } = this.#options
    tell({ type: 'backing-off', collection, why, retryAtMs: origin.pacer.waiting?.retryAtMs ?? 0 })
  }

  /** A mistake in a handler, told without its message: it may quote documents. */
  #report(error: unknown): void {
    const { collection, direction, tell, emitError } = this.#options
    const name = error instanceof Error ? error.name : typeof error
    const where =
      (error instanceof Error &&
        error.stack
          ?.split('\n')
          .find((line) => /^\s+at |@/.test(line))
          ?.trim()) ||
      'unknown'
    tell({ type: 'handler-failed', collection, error: name, where })
    const extensions = { kind: 'bug', direction, error: name, where }
    emitError(new SyncError('handler-failed', `The ${direction} handler of "${collection}" failed with ${name}.`, { extensions }))
  }

  #park(step: 1 | -1): void {
    this.#parked += step
    this.#options.changed()
  }

  #fly(step: 1 | -1): void {
    this.#inFlight += step
    this.#options.changed()
  }
}

function isAnswer<T>(result: Answer<T> | SyncFailure): result is Exclude<Answer<T>, { kind: 'closed' }> {
  return ['answered', 'refused', 'resync', 'scope-revoked'].includes(result.kind)
}
