/** How long a user can be opened without the server, milliseconds. */
export interface OfflinePolicy {
  /** Since the user was last open here. */
  readonly idleMs: number
  /** Since the server last granted something. */
  readonly absoluteMs: number
  /** Lock an open user after this long without a key press, touch or click. `null`: never. */
  readonly idleLockMs: number | null
  /** Whether ten wrong passwords destroy the password's slot. A PIN's slot always goes. */
  readonly destroyPasswordAfterFailures: boolean
}

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS

export const offlinePolicies = {
  standard: { idleMs: 7 * DAY_MS, absoluteMs: 30 * DAY_MS, idleLockMs: null, destroyPasswordAfterFailures: false },
  /** Weeks without a network. */
  field: { idleMs: 30 * DAY_MS, absoluteMs: 90 * DAY_MS, idleLockMs: null, destroyPasswordAfterFailures: false },
  /** Shared devices: a day offline, an hour idle. */
  strict: { idleMs: DAY_MS, absoluteMs: DAY_MS, idleLockMs: HOUR_MS, destroyPasswordAfterFailures: true },
} as const satisfies Record<string, OfflinePolicy>

/** Two instants by the device's clock, as far as it was believed. */
export interface ClockMark {
  /** The server last granted something. Only that moves the mark back, too. */
  readonly onlineAtMs: number
  /** The user was last open. Never goes back by itself. */
  readonly seenAtMs: number
}

export type OfflineAccess =
  | { readonly kind: 'allowed'; readonly endsAtMs: number }
  | { readonly kind: 'refused'; readonly why: 'age' | 'clock' }

/** Clocks are corrected by minutes all the time. */
const CLOCK_SLACK_MS = 300_000

/** Whether a user may be opened without the server. A missing mark (`null`: it was removed or forged) allows nothing. */
export function offlineAccess(mark: ClockMark | null, policy: OfflinePolicy, nowMs: number): OfflineAccess {
  if (!mark || nowMs < mark.seenAtMs - CLOCK_SLACK_MS) return { kind: 'refused', why: 'clock' }
  const endsAtMs = Math.min(mark.onlineAtMs + policy.absoluteMs, mark.seenAtMs + policy.idleMs)
  return Math.max(nowMs, mark.seenAtMs) < endsAtMs ? { kind: 'allowed', endsAtMs } : { kind: 'refused', why: 'age' }
}

export function markOnline(nowMs: number): ClockMark {
  return { onlineAtMs: nowMs, seenAtMs: nowMs }
}

/** @param believedMs see `believedNowMs` */
export function markSeen(mark: ClockMark, believedMs: number): ClockMark {
  return { ...mark, seenAtMs: Math.max(mark.seenAtMs, believedMs) }
}

export interface ClockReading {
  readonly wallMs: number
  readonly monotonicMs: number
}

/**
 * The wall clock as far as it ran on evenly since `start`: a jump ahead inside a running tab is suspect and is not adopted,
 * so that a clock that was wrong for an hour does not shut the user out when it is right again.
 */
export function believedNowMs(start: ClockReading, now: ClockReading): number {
  return Math.min(now.wallMs, start.wallMs + (now.monotonicMs - start.monotonicMs) + CLOCK_SLACK_MS)
}
