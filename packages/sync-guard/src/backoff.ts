import type { SyncPolicy } from './policy.ts'

type Patience = Pick<Required<SyncPolicy>, 'firstRetryMs' | 'longestRetryMs'>

/**
 * The wait before the next try: exponential with full jitter, never sooner than the server asked for.
 *
 * @param failures failures in a row, at least 1
 * @param fraction a random number in [0, 1)
 */
export function retryDelayMs(failures: number, fraction: number, { firstRetryMs, longestRetryMs }: Patience, retryAfterMs = 0): number {
  const ceiling = Math.min(longestRetryMs, firstRetryMs * 2 ** Math.min(failures, 30))
  return Math.max(retryAfterMs, Math.round(firstRetryMs / 2 + fraction * (ceiling - firstRetryMs / 2)))
}
