/** Wrong secrets in a row. Counted before the key derivation, so a crash never gives a free guess (C2). */
export interface Attempts {
  readonly failures: number
  readonly lastAtMs: number
}

export type NextAttempt =
  | { readonly kind: 'free'; readonly attemptsLeft: number }
  | { readonly kind: 'wait'; readonly retryAtMs: number; readonly attemptsLeft: number }
  | { readonly kind: 'none' }

export const MAX_FAILURES = 10

const FREE_FAILURES = 3
const WAITS_MS = [1_000, 5_000, 30_000, 300_000, 1_800_000] as const
const LONGEST_WAIT_MS = 1_800_000

export const noAttempts: Attempts = { failures: 0, lastAtMs: 0 }

/** Whether a secret may be tried now. `null`: the counter is missing or forged, which counts as used up. */
export function nextAttempt(attempts: Attempts | null, nowMs: number): NextAttempt {
  if (!attempts) return { kind: 'none' }
  const attemptsLeft = attemptsLeftAfter(attempts)
  const waitMs = waitAfter(attempts.failures)
  const retryAtMs = attempts.lastAtMs + waitMs
  // A clock that was set back must not make the wait longer than it is.
  const left = Math.min(retryAtMs - nowMs, waitMs)
  return left > 0 ? { kind: 'wait', retryAtMs: nowMs + left, attemptsLeft } : { kind: 'free', attemptsLeft }
}

export function afterAttempt({ failures }: Attempts, nowMs: number): Attempts {
  return { failures: failures + 1, lastAtMs: nowMs }
}

export function attemptsLeftAfter({ failures }: Attempts): number {
  return Math.max(0, MAX_FAILURES - failures)
}

function waitAfter(failures: number): number {
  if (failures < FREE_FAILURES) return 0
  return WAITS_MS[failures - FREE_FAILURES] ?? LONGEST_WAIT_MS
}
