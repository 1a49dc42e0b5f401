import type { Observable } from 'rxjs'

/**
 * All that the guard knows of who is signed in. A new object is a new session; a token refresh keeps the object.
 * Declared here so that any auth library can provide one; auth-core's is structurally the same.
 */
export interface SyncSession {
  readonly userId: string
  /**
   * A token fit to be sent now; `""` if a cookie authenticates. Asked before every send.
   *
   * @param options.rejected the token that a server has just refused: another one is needed.
   * @throws an error with `code === 'login-required'` and a `reason` when the session is over; anything else means "not now".
   */
  getToken(options?: { readonly rejected?: string; readonly signal?: AbortSignal }): Promise<string>
  /** The name of this user's database. Without one it is derived from the guard's id and the user's. */
  readonly databaseName?: string
  /** Whether data left behind by this user can be opened again later (not for anonymous users). Default true. */
  readonly canKeep?: boolean
}

/** `undefined`: not known yet (restoring). `null`: nobody is signed in; the previous user's sync ends and everything local is kept. */
export type SyncSession$ = Observable<SyncSession | null | undefined>

/** The reason if `error` says that the session is over, else `undefined`. Recognised by `code`, never by class. */
export function loginRequiredReason(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error) || error.code !== 'login-required') return undefined
  return 'reason' in error && typeof error.reason === 'string' ? error.reason : 'unknown'
}
