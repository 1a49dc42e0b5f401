import { Subject } from 'rxjs'
import { type AppContext, waitFor } from './app-context.ts'
import { AuthError } from './errors.ts'
import { isTabGone } from './refresh-lock.ts'
import { refreshSession, sessionOf } from './refresh-session.ts'
import { RetryMemory } from './retry-delay.ts'
import { fitUntilMs, isFit, prefetchAtMs, type Session } from './session.ts'
import { SingleFlight } from './single-flight.ts'
import type { UserKey } from './user-record.ts'
import type { Undo } from './world/index.ts'

export interface AccessTokenOptions {
  /** Milliseconds of validity to insist on. Default 30_000; half of the granted life if that is less. */
  readonly minValidityMs?: number
  /** A token that a server has just refused. */
  readonly rejected?: string
  readonly signal?: AbortSignal
}

export type TokenActivity =
  | { readonly type: 'refreshing'; readonly key: UserKey }
  | { readonly type: 'refreshed'; readonly key: UserKey }
  /** The token is not fit any more, and there is no network to renew it. */
  | { readonly type: 'stale'; readonly key: UserKey }
  | { readonly type: 'refresh-failed'; readonly key: UserKey; readonly error: AuthError }

/** Spreads the tabs that wake at the same moment. */
const WAKE_JITTER_MS = 250

/** Hands out access tokens, renews them when asked and ahead of time, and remembers for a while what just failed. */
export class TokenKeeper {
  readonly activity$ = new Subject<TokenActivity>()
  readonly #context: AppContext
  readonly #flights = new SingleFlight<UserKey, Session>()
  readonly #running = new Set<UserKey>()
  readonly #failures: RetryMemory<UserKey>
  #ahead: UserKey | undefined
  #stopTimer: Undo = () => {}
  readonly #stopWatching: Undo

  constructor(context: AppContext) {
    this.#context = context
    const { world } = context
    this.#failures = new RetryMemory(world.clock, world.random)
    const stopNetwork = world.connectivity.watch((online) => {
      if (online) this.#wake()
    })
    const stopPage = world.lifecycle.watch((signal) => {
      if (signal === 'visible' || signal === 'resumed' || signal === 'page-shown') this.#wake()
    })
    this.#stopWatching = () => {
      stopNetwork()
      stopPage()
    }
  }

  /** With a fit token: no request and no lock. Else at most one refresh, shared by all callers and tabs. */
  async accessToken(key: UserKey, { minValidityMs, rejected, signal }: AccessTokenOptions = {}): Promise<string> {
    const { directory, serverClock } = this.#context
    // A session that cannot be renewed is over when a server refuses its token, not when this device's clock says so.
    const suits = (session: Session) =>
      session.accessToken !== rejected && (session.refreshToken === undefined || isFit(session, serverClock.nowMs(), minValidityMs))
    let session = sessionOf(await waitFor(directory.current(key), signal))
    // A renewal that somebody else began may bring less than this caller insists on; then comes one of its own.
    for (let tries = 0; tries < 2 && !suits(session); tries += 1) session = await waitFor(this.#renew(key, minValidityMs, rejected), signal)
    return session.accessToken
  }

  /**
   * Repeats a refresh whose answer an earlier run did not live to store: the token on this device may have been used up.
   * Never rejects; what comes of it shows in the state.
   */
  async finishAttempt(key: UserKey): Promise<void> {
    const record = await this.#context.directory.current(key)
    if (record?.status.kind !== 'signed-in' || record.vault.kind !== 'open' || !record.refreshIntent) return
    const { ownerLock, writtenAtMs } = record.refreshIntent
    if (!(await isTabGone(this.#context, ownerLock, writtenAtMs))) return
    await this.#renew(key, undefined, record.vault.contents.session?.accessToken).catch(() => {})
  }

  isRefreshing(key: UserKey): boolean {
    return this.#running.has(key)
  }

  /** Keeps this user's token fit from now on; `undefined`: nobody's. */
  keepAhead(key: UserKey | undefined): void {
    this.#ahead = key
    this.#schedule()
  }

  stop(): void {
    this.#ahead = undefined
    this.#stopTimer()
    this.#stopWatching()
    this.activity$.complete()
  }

  #renew(key: UserKey, minValidityMs?: number, rejected?: string): Promise<Session> {
    const standing = this.#failures.standing(key)
    if (standing) return Promise.reject(standing)
    return this.#flights.run(key, async () => {
      this.#running.add(key)
      this.activity$.next({ type: 'refreshing', key })
      try {
        const session = await refreshSession(this.#context, { key, rejected, ...(minValidityMs === undefined ? {} : { minValidityMs }) })
        this.#failures.forget(key)
        this.#running.delete(key)
        this.activity$.next({ type: 'refreshed', key })
        return session
      } catch (error) {
        this.#running.delete(key)
        this.#noteFailure(key, error)
        throw error
      } finally {
        if (key === this.#ahead) this.#schedule()
      }
    })
  }

  #noteFailure(key: UserKey, error: unknown): void {
    const failure = error instanceof AuthError ? error : new AuthError('bug', 'Could not renew the session.', { cause: error })
    if (isWorthRetrying(failure)) this.#failures.failed(key, failure, failure.retryAfterMs)
    this.activity$.next({ type: 'refresh-failed', key, error: failure })
  }

  /** The network or the page came back: what failed before says nothing any more (S12). */
  #wake(): void {
    this.#failures.forget()
    const key = this.#ahead
    if (key === undefined) return
    this.#stopTimer()
    const { world } = this.#context
    this.#stopTimer = world.timers.start(world.random.fraction() * WAKE_JITTER_MS, () => void this.#renewAhead(key), { background: true })
  }

  #schedule(): void {
    this.#stopTimer()
    const key = this.#ahead
    if (key === undefined) return
    const dueInMs = this.#dueInMs(key)
    if (dueInMs === undefined) return
    const { world } = this.#context
    this.#stopTimer = world.timers.start(dueInMs, () => void this.#renewAhead(key), { background: true })
  }

  /** Milliseconds until the next renewal ahead of need (offline: until the token is stale), or `undefined` if this user has nothing to renew. */
  #dueInMs(key: UserKey): number | undefined {
    const { directory, serverClock, world } = this.#context
    const record = directory.records.get(key)
    if (record?.status.kind !== 'signed-in' || record.vault.kind !== 'open' || !record.vault.contents.session) return undefined
    const { session } = record.vault.contents
    const nowMs = serverClock.nowMs()
    // Offline nothing can be renewed; what is left to do is to say when the token stops being fit.
    if (!world.connectivity.online) return isFit(session, nowMs) ? fitUntilMs(session) - nowMs + 1 : undefined
    const tokenDueInMs = isFit(session, nowMs) ? Math.max(0, prefetchAtMs(session) - nowMs) : 0
    return Math.max(tokenDueInMs, this.#failures.waitMs(key))
  }

  async #renewAhead(key: UserKey): Promise<void> {
    if (key !== this.#ahead) return
    const { directory, serverClock, world } = this.#context
    try {
      const session = sessionOf(await directory.current(key))
      const nowMs = serverClock.nowMs()
      const isStale = !isFit(session, nowMs)
      const isDue = isStale || nowMs >= prefetchAtMs(session)
      // Offline for sure: the next attempt is made when the platform says that the network is back.
      if (isDue && world.connectivity.online) return void (await this.#renew(key, Math.max(session.accessExpiresAtMs - nowMs + 1, 0)))
      if (isStale) this.activity$.next({ type: 'stale', key })
      this.#schedule()
    } catch {
      // Said on `activity$`; `#renew` has scheduled the next try.
    }
  }
}

function isWorthRetrying({ code }: AuthError): boolean {
  return code !== 'login-required' && code !== 'not-logged-in' && code !== 'user-not-found' && code !== 'locked'
}
