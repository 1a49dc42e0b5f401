import { AuthError } from './errors.ts'
import { given } from './given.ts'
import { BackendFailure } from './outcome.ts'
import { UnlockRefused } from './ports.ts'

/** The error an app sees for a failed call of the backend. `doing` completes "Could not …". */
export function authErrorOf(failure: unknown, doing: string): AuthError {
  if (failure instanceof AuthError) return failure
  if (!(failure instanceof BackendFailure)) {
    return new AuthError('bug', `Could not ${doing}: the backend adapter failed in a way it should have sorted.`, { cause: failure })
  }
  const { outcome } = failure
  switch (outcome.kind) {
    case 'later':
      if (outcome.why === 'unreachable') {
        return new AuthError(
          'offline',
          `Could not ${doing}: no answer from the server. Nothing has changed; try again when there is a network.`,
          {
            cause: failure,
          },
        )
      }
      return new AuthError('server-busy', `Could not ${doing}: the server is busy. Nothing has changed; try again later.`, {
        cause: failure,
        ...given('retryAfterMs', outcome.retryAfterMs),
      })
    case 'superseded':
      return new AuthError('server-busy', `Could not ${doing}: a newer token is on its way to this device. Try again.`, { cause: failure })
    case 'over':
      return new AuthError('login-required', `Could not ${doing}: the session is over (${outcome.reason}). The data stays; log in again.`, {
        cause: failure,
        reason: outcome.reason,
      })
    case 'token-rejected':
      return new AuthError('refused', `Could not ${doing}: the server does not accept this user's access token.`, {
        cause: failure,
        serverCode: 'token-rejected',
      })
    case 'refused':
      return refusal(outcome.code, outcome.message, doing, failure)
    case 'misconfigured':
      return new AuthError('misconfigured', `Could not ${doing}: ${outcome.message}`, { cause: failure })
    case 'bug':
      return new AuthError('bug', `Could not ${doing}: ${failure.message}`, { cause: failure })
  }
}

function refusal(code: string, message: string | undefined, doing: string, cause: BackendFailure): AuthError {
  const because = message ?? `the server refused (${code}).`
  const known = code === 'invalid-credentials' || code === 'account-exists' || code === 'weak-password'
  return new AuthError(known ? code : 'refused', `Could not ${doing}: ${because}`, { cause, serverCode: code })
}

/** The error an app sees when a vault does not open a user. `code`: what failed, to the caller. */
export function unlockErrorOf(refusal: unknown, code: 'unlock-failed' | 'offline-login-failed'): unknown {
  if (!(refusal instanceof UnlockRefused)) return refusal
  const { attemptsLeft, retryAtMs, message } = refusal
  const known = refusal.code === 'no-unlock-method' || refusal.code === 'needs-secret' || refusal.code === 'weak-secret'
  return new AuthError(known ? refusal.code : code, message, {
    cause: refusal,
    reason: refusal.code,
    ...given('attemptsLeft', attemptsLeft),
    ...given('retryAtMs', retryAtMs),
  })
}

/** Whether a rejection came from the caller's own signal. */
export function abortedBy(signal: AbortSignal | undefined): AuthError | undefined {
  return signal?.aborted ? new AuthError('aborted', 'The call was aborted by its signal.', { cause: signal.reason }) : undefined
}
