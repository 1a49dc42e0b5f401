/** Every way a call of auth-core can fail, and what an app should do about it. The table in the docs is made from these comments. */
export type AuthErrorCode =
  /** No answer from the server. Nothing stored has changed. Try again when there is a network, or rely on what is on the device. */
  | 'offline'
  /** The server answered that it cannot serve now (busy, throttled). Nothing stored has changed. Try again later. */
  | 'server-busy'
  /** The server will not renew the session. The data stays. Show the log-in page; `reason` says why. */
  | 'login-required'
  /** The user has no session on this device. Log in. */
  | 'not-logged-in'
  /** The user is locked: its keys are not in memory. Unlock first. */
  | 'locked'
  /** The user was removed from this device or belongs to another app object. Log in again to get a new one. */
  | 'user-not-found'
  /** E-mail and password (or key, or token) were not accepted. Ask for them again. */
  | 'invalid-credentials'
  /** What was given to the call has the wrong shape; the message names the field. A mistake in the calling code or in a form. */
  | 'invalid-argument'
  /** An account with this e-mail address exists. Offer to log in or to reset the password. */
  | 'account-exists'
  /** The password does not meet the server's rules; the message says which. Ask for another. */
  | 'weak-password'
  /** The server understood and refused; `serverCode` has its code. Show the message, or handle the codes you know. */
  | 'refused'
  /** The backend has no such ability (checked before any request). Hide the feature. */
  | 'not-supported'
  /** Writes that were not uploaded stand in the way; `pending` has their number. Upload them, or call again with another `unsynced`. */
  | 'pending-writes'
  /** What is stored on this device cannot be reached now; `reason` says why. Nothing was removed. */
  | 'storage-unavailable'
  /** Another tab changed the same user at the same time, again and again. Try again. */
  | 'conflict'
  /** The first log-in of a user on this device needs the server, and it did not answer. Try again when there is a network. */
  | 'first-login-needs-network'
  /** Wrong secret, or nobody on this device has it, while the server did not answer. Ask again, or wait for a network. */
  | 'offline-login-failed'
  /** The secret does not open the user, or may not be tried now; `reason` says why, `attemptsLeft` and `retryAtMs` what is left. */
  | 'unlock-failed'
  /** Locking would leave no way to open the user again. Enable a password or passphrase first. */
  | 'no-unlock-method'
  /** Changing how a user is unlocked needs a secret that opens it. Ask for one. */
  | 'needs-secret'
  /** The secret is too weak for its kind, or this platform cannot protect that kind. Ask for another. */
  | 'weak-secret'
  /** The app has been closed with `close()`. Create a new one. */
  | 'app-closed'
  /** The call was aborted by its signal. */
  | 'aborted'
  /** The server's address, audience or answer does not fit what this client expects. Check the configuration. */
  | 'misconfigured'
  /** A mistake in Nightlatch or in an adapter. Please report it with the `cause`. */
  | 'bug'

/** What an error may carry besides its sentence. Only harmless facts: no token, password, document or response body. */
export interface AuthErrorFacts {
  readonly cause?: unknown
  readonly reason?: string
  readonly serverCode?: string
  readonly pending?: number
  readonly retryAfterMs?: number
  readonly retryAtMs?: number
  readonly attemptsLeft?: number
}

/** The one error of auth-core: `code` for programs, `message` for people, `cause` for the curious. */
export class AuthError extends Error implements AuthErrorFacts {
  override readonly name = 'AuthError'
  readonly code: AuthErrorCode
  /** For `login-required` an `OverReason`; for `storage-unavailable` and `unlock-failed` why. */
  declare readonly reason?: string
  declare readonly serverCode?: string
  declare readonly pending?: number
  declare readonly retryAfterMs?: number
  /** When another try is welcome, by the device's clock. */
  declare readonly retryAtMs?: number
  declare readonly attemptsLeft?: number

  constructor(code: AuthErrorCode, message: string, { cause, ...facts }: AuthErrorFacts = {}) {
    super(message, cause === undefined ? undefined : { cause })
    this.code = code
    Object.assign(this, facts)
  }
}
