import type { AuthErrorCode, FieldbookAuthState, FieldbookSyncState } from './session.ts'

/** How the station stands, in a word and a sentence. */
export interface Status {
  readonly tone: 'good' | 'busy' | 'waiting' | 'alert'
  readonly label: string
  readonly detail: string
}

export function statusOf(auth: FieldbookAuthState, sync: FieldbookSyncState): Status {
  if (auth.kind === 'login-required' || sync.kind === 'login-required') {
    return { tone: 'alert', label: 'Login required', detail: 'Everything stays readable and writable. Nothing is sent.' }
  }
  switch (sync.kind) {
    case 'idle':
      return { tone: 'busy', label: 'Starting', detail: 'Sync is about to start.' }
    case 'syncing':
      return { tone: 'busy', label: 'Syncing', detail: 'Exchanging changes with the server.' }
    case 'refreshing':
      return { tone: 'busy', label: 'Syncing', detail: 'Renewing the session.' }
    case 'synced':
      return { tone: 'good', label: 'Online', detail: 'Everything is up to date.' }
    case 'offline':
      return { tone: 'waiting', label: 'Offline', detail: 'What you write is kept here and sent later.' }
    case 'blocked':
      return { tone: 'alert', label: 'Sync stopped', detail: BLOCKED[sync.cause] }
    case 'halting':
    case 'halted':
      return { tone: 'waiting', label: 'Sync paused', detail: 'What you write is kept here.' }
  }
}

const BLOCKED: Record<Extract<FieldbookSyncState, { kind: 'blocked' }>['cause'], string> = {
  'token-rejected': 'The server does not accept this session. It is asked again from time to time.',
  forbidden: 'The server does not let this account sync.',
  'outdated-client': 'Reload the page: the server needs a newer version of it.',
  'migration-waiting': 'Close the other tabs, so that the new version can take over.',
  'foreign-database': 'The data on this device belongs to another user.',
  bug: 'Something is wrong in this version. What you write is kept here.',
}

/** Why a session is over, as the end of a sentence. */
export function overReasonText(reason: string): string {
  return OVER_REASONS[reason] ?? 'the server ended your session.'
}

const OVER_REASONS: Readonly<Record<string, string>> = {
  expired: 'your session has reached its end.',
  revoked: 'your session was revoked.',
  reuse: 'your session was used from two places and was ended for safety.',
  disabled: 'your account is disabled.',
  deleted: 'your account was deleted.',
  'credential-changed': 'your password was changed.',
  'device-wiped': 'this device was wiped by its owner.',
  unverified: 'the server has not yet confirmed your log-in.',
}

/** What to tell a person whose log-in or registration failed. */
export function failureText(code: AuthErrorCode, message: string): string {
  return FAILURES[code] ?? message
}

const NO_LINK = 'The server cannot be reached now. Logging in needs the link.'
const FAILURES: Partial<Record<AuthErrorCode, string>> = {
  'invalid-credentials': 'E-mail address and password do not fit together.',
  'offline-login-failed': 'E-mail address and password do not fit together.',
  'account-exists': 'There is an account with this e-mail address. Log in instead.',
  'first-login-needs-network': 'The server cannot be reached. The first log-in on a device needs the link.',
  offline: NO_LINK,
  'server-busy': NO_LINK,
}

/** `1 observation`, `3 observations`. */
export function observationsText(count: number): string {
  return count === 1 ? '1 observation' : `${count} observations`
}
