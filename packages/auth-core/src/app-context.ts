import { abortedBy, authErrorOf } from './auth-failure.ts'
import { AuthError } from './errors.ts'
import { BackendFailure } from './outcome.ts'
import type { AuthBackend, BackendContext, DeviceVault } from './ports.ts'
import type { ServerClock } from './server-clock.ts'
import type { UserDirectory } from './user-directory.ts'
import type { Channel, World } from './world/index.ts'

/** What the parts of one app share. */
export interface AppContext {
  readonly appId: string
  readonly backend: AuthBackend
  readonly vault: DeviceVault | undefined
  readonly world: World
  readonly directory: UserDirectory
  readonly serverClock: ServerClock
  readonly channel: Channel
  readonly requestTimeoutMs: number
  /** Name of a lock, unique to (app, issuer). */
  readonly lockName: (what: string) => string
  /** A lock that this tab holds while it lives. */
  readonly tabLock: string
}

/** What a channel of the app carries besides "look at storage". */
export interface Heartbeat {
  readonly type: 'heartbeat'
  readonly lock: string
}

export function isHeartbeat(message: unknown): message is Heartbeat {
  return typeof message === 'object' && message !== null && 'type' in message && message.type === 'heartbeat'
}

/**
 * Asks the backend, for no longer than the request timeout. A caller who aborts stops waiting at once, and the request with them.
 *
 * @throws {BackendFailure} sorted; a timeout is `later/unreachable`
 * @throws {AuthError} `aborted`
 */
export async function askBackend<T>(
  { world, requestTimeoutMs }: Pick<AppContext, 'world' | 'requestTimeoutMs'>,
  ask: (context: BackendContext) => Promise<T>,
  signal?: AbortSignal,
): Promise<T> {
  const aborted = abortedBy(signal)
  if (aborted) throw aborted
  const request = new AbortController()
  const { promise: cut, reject } = Promise.withResolvers<never>()
  const giveUp = () => {
    reject(abortedBy(signal) ?? new AuthError('aborted', 'The call was aborted.'))
    request.abort(signal?.reason)
  }
  signal?.addEventListener('abort', giveUp, { once: true })
  const stopTimer = world.timers.start(requestTimeoutMs, () => {
    reject(new BackendFailure({ kind: 'later', why: 'unreachable' }, `No answer within ${requestTimeoutMs} ms.`))
    request.abort()
  })
  const answer = ask({ fetch: world.fetch, nowMs: () => world.clock.nowMs(), signal: request.signal })
  try {
    return await Promise.race([answer, cut])
  } finally {
    stopTimer()
    signal?.removeEventListener('abort', giveUp)
    // Whoever lost the race may still reject; nobody listens any more.
    answer.catch(() => {})
  }
}

/** Like `askBackend`, failing with the `AuthError` that an app sees. `doing` completes "Could not …". */
export async function askForApp<T>(
  context: AppContext,
  doing: string,
  ask: (context: BackendContext) => Promise<T>,
  signal?: AbortSignal,
): Promise<T> {
  try {
    return await askBackend(context, ask, signal)
  } catch (failure) {
    throw authErrorOf(failure, doing)
  }
}

/** `promise`, unless the caller's signal aborts first; the work itself goes on for the others who share it. */
export async function waitFor<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return promise
  const aborted = abortedBy(signal)
  if (aborted) throw aborted
  const { promise: cut, reject } = Promise.withResolvers<never>()
  const giveUp = () => reject(abortedBy(signal))
  signal.addEventListener('abort', giveUp, { once: true })
  try {
    return await Promise.race([promise, cut])
  } finally {
    signal.removeEventListener('abort', giveUp)
  }
}

export function notSupported(ability: string): AuthError {
  return new AuthError('not-supported', `This backend cannot ${ability}. Hide the feature, or choose a backend that has it.`)
}
