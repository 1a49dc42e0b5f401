import type { RememberedAttempt } from '../database/schema.ts'

/** What to do about a genuine refresh token of a live session. */
export type RefreshDecision =
  /** Make the next pair. */
  | 'rotate'
  /** The answer to an earlier request was lost: give the current pair again. */
  | 'repeat'
  /** An old request that was delivered late; the client has newer tokens. Nothing happens. */
  | 'superseded'
  /** Somebody else has been using this session's tokens. */
  | 'reuse'
  /** The token is newer than the database: it was restored from a backup. Go on from the token. */
  | 'adopt'

export interface RotationState {
  readonly rotation: number
  readonly confirmedRotation: number
  readonly rotatedAtMs: number
  readonly attempts: readonly RememberedAttempt[]
}

const OVERLAP_MS = 30_000
const REMEMBERED_ATTEMPTS = 8

/**
 * The table of refresh answers. `attempt` is the digest of the attempt id, if the client sent one.
 *
 * One step behind is forgiven as long as the client has not shown to have the current pair, because a lost answer and a theft look the same
 * until then; a client that repeats its attempt id is forgiven for ever (RFC 9700 section 4.14.2 leaves the choice of the grace to the server).
 */
export function decideRefresh(state: RotationState, presented: number, attempt: string | undefined, nowMs: number): RefreshDecision {
  if (presented === state.rotation) return 'rotate'
  if (presented > state.rotation) return 'adopt'

  const isOneBehind = presented === state.rotation - 1
  const remembered = state.attempts.find(({ rotation }) => rotation === presented)
  if (attempt !== undefined && remembered?.attempt === attempt) return isOneBehind ? 'repeat' : 'superseded'

  const mayBeLost = nowMs - state.rotatedAtMs < OVERLAP_MS || state.confirmedRotation < state.rotation
  return isOneBehind && mayBeLost ? 'repeat' : 'reuse'
}

export function rememberAttempt(
  attempts: readonly RememberedAttempt[],
  rotation: number,
  attempt: string | undefined,
): readonly RememberedAttempt[] {
  return attempt === undefined ? attempts : [...attempts, { rotation, attempt }].slice(-REMEMBERED_ATTEMPTS)
}
