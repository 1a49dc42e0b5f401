import type { World } from '@nightlatch/auth-core/world'
import type { RxReplicationState } from 'rxdb/plugins/replication'
import { type Gate, untilAborted } from './gate.ts'
import { Pacer } from './pacer.ts'
import type { SyncPolicy } from './policy.ts'
import type { Doc } from './replication-meta.ts'
import { SyncError } from './sync-error.ts'
import { HttpFailure, retryAfterMs, type SortFailure, sortHttpFailure } from './sync-failure.ts'
import type { SyncSession } from './sync-session.ts'
import type { TokenSource } from './token-source.ts'

/** What a plugin's replication needs in order to send only while it may. Made anew for every run. */
export interface AttachParts {
  readonly session: SyncSession
  /** Aborts when sync halts. */
  readonly signal: AbortSignal
  /** A token fit to be sent now. Waits for one as long as it takes, and for ever once sync has halted. For libraries that ask for tokens themselves. */
  readonly token: () => Promise<string>
  /**
   * Puts the token on the request and refuses to send when sync has halted. Answers that are about the session or the server rather than about
   * data (401, 403, 408, 425, 426, 429, 5xx, a page instead of data) reject, so that their status is not lost inside the plugin.
   */
  readonly fetch: typeof globalThis.fetch
  /** The same for libraries that sort answers themselves: every answer is passed on. */
  readonly plainFetch: typeof globalThis.fetch
  /** For long polls that nobody retries: waits out every trouble, and settles with data or when sync halts. */
  readonly patientFetch: typeof globalThis.fetch
}

/**
 * Creates the plugin's replication state, with `autoStart: false` and `waitForLeadership: false`. Called again for every run: a cancelled state
 * cannot be started again.
 */
// biome-ignore lint/suspicious/noExplicitAny: states of all plugins, whatever their documents and checkpoints are.
export type AttachFactory = (parts: AttachParts) => RxReplicationState<any, any>

export interface AttachOptions {
  readonly sortFailure?: SortFailure
  readonly origin?: string
}

export interface AttachContext {
  readonly session: SyncSession
  readonly gate: Gate
  readonly tokens: TokenSource
  readonly origin: Pacer
  readonly world: World
  readonly policy: Required<SyncPolicy>
}

export function attachParts({ session, gate, tokens, origin, world, policy }: AttachContext): AttachParts {
  const plainFetch: typeof globalThis.fetch = async (input, init) => {
    const request = new Request(input, init)
    // What only reads is dropped when sync halts; what may write is waited for until the deadline.
    const until = request.method === 'GET' || request.method === 'HEAD' ? gate.closing : gate.cutting
    until.throwIfAborted()
    const token = await untilAborted(tokens.current(), until)
    until.throwIfAborted()
    if (token !== '') request.headers.set('authorization', `Bearer ${token}`)
    const aborting = new AbortController()
    until.addEventListener('abort', () => aborting.abort(until.reason), { once: true, signal: aborting.signal })
    request.signal.addEventListener('abort', () => aborting.abort(request.signal.reason), { once: true, signal: aborting.signal })
    const response = await world.fetch(request, { signal: aborting.signal })
    if (response.status === 401) tokens.reject(token)
    return response
  }
  const sortedFetch: typeof globalThis.fetch = async (input, init) => {
    const response = await plainFetch(input, init)
    if (TROUBLE.has(response.status) || response.status >= 500) {
      const after = retryAfterMs(response.headers.get('retry-after'), world.clock.nowMs())
      throw new HttpFailure({ status: response.status, ...(after !== undefined && { retryAfterMs: after }) })
    }
    if (response.headers.get('content-type')?.startsWith('text/html')) throw new HttpFailure('unreadable')
    return response
  }
  const patientFetch: typeof globalThis.fetch = async (input, init) => {
    const pacer = new Pacer(world, policy, () => {})
    for (;;) {
      await origin.clear(gate.closing)
      const ticket = await pacer.turn(gate.closing)
      if (!ticket) throw halted()
      try {
        return await sortedFetch(input, init)
      } catch (error) {
        if (!gate.open) throw halted()
        const failure = sortHttpFailure(error, 'pull')
        ticket.failed('later', failure.kind === 'later' ? failure.retryAfterMs : undefined)
      }
    }
  }
  return {
    session,
    signal: gate.closing,
    token: () => tokens.current().catch(() => new Promise<string>(() => {})),
    fetch: sortedFetch,
    plainFetch,
    patientFetch,
  }
}

/** Calls the factory and insists on what halting depends on. */
export function attachedState(factory: AttachFactory, parts: AttachParts): RxReplicationState<Doc, unknown> {
  const state = factory(parts) as RxReplicationState<Doc, unknown>
  if (state.autoStart !== false) throw new SyncError('invalid-argument', 'attach() needs a replication created with `autoStart: false`.')
  if (state.live === false) throw new SyncError('invalid-argument', 'attach() needs a live replication. For a single pass use `once()`.')
  return state
}

function halted(): SyncError {
  return new SyncError('session-ended', 'Sync was halted.')
}

const TROUBLE: ReadonlySet<number> = new Set([401, 403, 408, 425, 426, 429])
