import type { OverReason } from './outcome.ts'
import type { UserKey } from './user-record.ts'

/** Who is signed in, generic in the user object so that the transitions below stay pure. */
export type AuthState<User = unknown> =
  | { readonly kind: 'restoring' }
  | { readonly kind: 'unavailable'; readonly reason: UnavailableReason }
  | { readonly kind: 'signed-out' }
  | LockedState
  | { readonly kind: 'signed-in'; readonly user: User; readonly access: Access }
  /** The session is over and the data open. `canReturn`: whether logging in again can reach the same account (not for anonymous users). */
  | { readonly kind: 'login-required'; readonly user: User; readonly reason: OverReason; readonly canReturn: boolean }

export interface LockedState {
  readonly kind: 'locked'
  readonly user: LockedUser
  readonly why: LockReason
  readonly methods: readonly UnlockMethod[]
  readonly session: { readonly kind: 'kept' } | { readonly kind: 'none' } | { readonly kind: 'over'; readonly reason: OverReason }
  readonly retryAtMs?: number
  readonly attemptsLeft?: number
  /** When offline access ends if the server is not reached until then, by the device's clock. */
  readonly offlineEndsAtMs?: number
}

export type UnavailableReason =
  | 'storage-blocked'
  | 'storage-damaged'
  | 'evicted'
  | 'newer-version'
  | 'insecure-context'
  | 'unsupported-environment'
export type LockReason = 'start' | 'idle' | 'explicit' | 'switch' | 'age' | 'clock' | 'attempts' | 'session-over'
export type UnlockMethod = 'password' | 'passphrase' | 'pin' | 'device' | 'server'
/** `unverified`: unlocked offline, no token yet. */
export type Access = 'fresh' | 'refreshing' | 'offline' | 'unverified'

/** A user of this device whose keys are not in memory: it can be unlocked, logged out, removed and switched to. */
export interface LockedUser {
  readonly key: UserKey
  readonly label?: string
}

export type AuthEvent<User = unknown> =
  | { readonly type: 'restored'; readonly state: AuthState<User> }
  | { readonly type: 'storage-lost'; readonly reason: UnavailableReason }
  | { readonly type: 'session-saved'; readonly user: User; readonly access?: Access }
  | { readonly type: 'access-changed'; readonly access: Access }
  | { readonly type: 'session-over'; readonly reason: OverReason; readonly canReturn: boolean }
  | { readonly type: 'locked'; readonly locked: LockedState }
  | { readonly type: 'switched'; readonly state: AuthState<User> }
  | { readonly type: 'left' }

/** The state after an event. Pure; the table in the test covers every pair. */
export function nextAuthState<User>(state: AuthState<User>, event: AuthEvent<User>): AuthState<User> {
  switch (event.type) {
    case 'restored':
    case 'switched':
      return event.state
    case 'storage-lost':
      return { kind: 'unavailable', reason: event.reason }
    case 'session-saved':
      return { kind: 'signed-in', user: event.user, access: event.access ?? 'fresh' }
    case 'access-changed':
      return state.kind === 'signed-in' && state.access !== event.access ? { ...state, access: event.access } : state
    case 'session-over':
      if (state.kind === 'locked') return { ...state, session: { kind: 'over', reason: event.reason } }
      if (state.kind !== 'signed-in') return state
      return { kind: 'login-required', user: state.user, reason: event.reason, canReturn: event.canReturn }
    case 'locked':
      return event.locked
    case 'left':
      return state.kind === 'unavailable' ? state : { kind: 'signed-out' }
  }
}

/** The user of `signed-in` and `login-required`, else `null`; a locked one is not open to the app. */
export function currentUserOf<User>(state: AuthState<User>): User | null {
  return state.kind === 'signed-in' || state.kind === 'login-required' ? state.user : null
}
