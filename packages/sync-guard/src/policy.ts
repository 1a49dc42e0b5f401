/** How patient the guard is, and what it keeps. Every member may be left out. */
export interface SyncPolicy {
  /** How long a halt waits for pushes in flight before it lists them as of unknown outcome. Default 2_000. */
  readonly pushDeadlineMs?: number
  /** How long a halt waits for other tabs (0: there are none), and for work inside the storage. Default 1_000 and 5_000. */
  readonly tabDeadlineMs?: number
  readonly storageDeadlineMs?: number
  /** The first and the longest wait between tries. Default 1_000 and 300_000. */
  readonly firstRetryMs?: number
  readonly longestRetryMs?: number
  /** No request carries more than this many bytes of rows, unless a single row is larger. Default 524_288. */
  readonly pushBytes?: number
  /** What becomes of the documents of a scope that the server has closed to the user: removed (default), or kept to be read. */
  readonly revokedScopes?: 'purge' | 'keep'
}

export const DEFAULT_POLICY: Required<SyncPolicy> = {
  pushDeadlineMs: 2_000,
  tabDeadlineMs: 1_000,
  storageDeadlineMs: 5_000,
  firstRetryMs: 1_000,
  longestRetryMs: 300_000,
  pushBytes: 512 * 1024,
  revokedScopes: 'purge',
}

/** How long another tab may take to confirm that it has halted; 0: there are none. */
export function tabDeadlineMs({ tabDeadlineMs: answerMs, pushDeadlineMs }: Required<SyncPolicy>): number {
  return answerMs === 0 ? 0 : answerMs + pushDeadlineMs
}
