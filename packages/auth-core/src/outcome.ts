/** Why the server will not renew a session. `unverified`: unlocked offline with credentials the server has not accepted since. */
export type OverReason =
  | 'expired'
  | 'revoked'
  | 'reuse'
  | 'disabled'
  | 'deleted'
  | 'credential-changed'
  | 'device-wiped'
  | 'unverified'
  | 'unknown'

/**
 * What became of a request, sorted once in the adapter that knows the wire. Closed: everything a server, proxy or network can do is one of these.
 * Only `over`, and only from the token endpoint, may end a session (S1).
 */
export type Outcome =
  | { readonly kind: 'later'; readonly why: 'unreachable' | 'busy' | 'throttled'; readonly retryAfterMs?: number }
  | { readonly kind: 'over'; readonly reason: OverReason }
  /** A newer rotation of this session's refresh token is in use: look into storage, another tab has it. */
  | { readonly kind: 'superseded' }
  | { readonly kind: 'refused'; readonly code: string; readonly message?: string }
  /** The access token was not accepted (401 outside the token endpoint). Never ends a session; refresh once and try again. */
  | { readonly kind: 'token-rejected' }
  | { readonly kind: 'misconfigured'; readonly message: string }
  | { readonly kind: 'bug' }

/** How every method of an `AuthBackend` fails. */
export class BackendFailure extends Error {
  override readonly name = 'BackendFailure'
  readonly outcome: Outcome

  constructor(outcome: Outcome, message: string, options?: { readonly cause?: unknown }) {
    super(message, options)
    this.outcome = outcome
  }
}
