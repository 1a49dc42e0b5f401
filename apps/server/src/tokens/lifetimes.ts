/** How long tokens and sessions live, in seconds. */
export interface Lifetimes {
  readonly accessS: number
  /** A session that is not refreshed for this long is over. */
  readonly sessionIdleS: number
  /** A session is over this long after the log-in, whatever happens. */
  readonly sessionAbsoluteS: number
  /** Anonymous users cannot log in again, so their sessions have no absolute end. */
  readonly anonymousIdleS: number
}

const DAY_S = 86_400

export const defaultLifetimes: Lifetimes = {
  accessS: 900,
  sessionIdleS: 60 * DAY_S,
  sessionAbsoluteS: 180 * DAY_S,
  anonymousIdleS: 180 * DAY_S,
}

export interface SessionEnds {
  readonly idleEndsAtMs: number
  readonly endsAtMs: number | null
}

export function sessionEnds(lifetimes: Lifetimes, provider: string, createdAtMs: number, usedAtMs: number): SessionEnds {
  if (provider === 'anonymous') return { idleEndsAtMs: usedAtMs + lifetimes.anonymousIdleS * 1000, endsAtMs: null }
  const endsAtMs = createdAtMs + lifetimes.sessionAbsoluteS * 1000
  return { idleEndsAtMs: Math.min(usedAtMs + lifetimes.sessionIdleS * 1000, endsAtMs), endsAtMs }
}

/** Whole seconds an access token made now may live: never beyond its session. */
export function accessLifeS(lifetimes: Lifetimes, ends: SessionEnds, nowMs: number): number {
  return Math.max(1, Math.min(lifetimes.accessS, Math.floor((ends.idleEndsAtMs - nowMs) / 1000)))
}
