import {
  type Access,
  type AuthEvent,
  type AuthState,
  currentUserOf,
  type LockedState,
  type LockedUser,
  type LockReason,
} from './auth-state.ts'
import { given } from './given.ts'
import type { DeviceRecord, UserKey, UserRecord } from './user-record.ts'

/** What the parts that are not stored contribute. */
export interface StateView<User> {
  readonly userOf: (record: UserRecord) => User
  readonly access: Access
  readonly lock: LockFacts
}

/** Why the current user is locked and what would open it; known to the vault only. */
export interface LockFacts extends Pick<LockedState, 'methods' | 'retryAtMs' | 'attemptsLeft' | 'offlineEndsAtMs'> {
  readonly why: LockReason
}

/** The state that follows from what is stored: every tab that reads the same records is in the same state. */
export function storedAuthState<User>(
  device: DeviceRecord,
  records: ReadonlyMap<UserKey, UserRecord>,
  view: StateView<User>,
): AuthState<User> {
  const record = device.currentUser === null ? undefined : records.get(device.currentUser)
  if (!record || record.status.kind === 'logged-out' || isLeaving(device, record)) return { kind: 'signed-out' }
  const over = record.status.kind === 'over' ? record.status : undefined
  if (record.vault.kind !== 'open') {
    return {
      kind: 'locked',
      user: lockedUser(record),
      ...view.lock,
      session: over ? { kind: 'over', reason: over.reason } : { kind: record.status.kind === 'signed-in' ? 'kept' : 'none' },
    }
  }
  const user = view.userOf(record)
  if (over) return { kind: 'login-required', user, reason: over.reason, canReturn: canReturn(record) }
  return { kind: 'signed-in', user, access: record.status.kind === 'unverified' ? 'unverified' : view.access }
}

export function lockedUser({ key, label }: UserRecord): LockedUser {
  return { key, ...given('label', label) }
}

/** Whether its removal or log-out is decided although the record does not say so yet. */
export function isLeaving(device: DeviceRecord, record: UserRecord): boolean {
  return device.leaves?.some(({ key, epoch }) => key === record.key && epoch > record.epoch) ?? false
}

export function isBeingRemoved(device: DeviceRecord, record: UserRecord): boolean {
  return device.leaves?.some(({ key, to, epoch }) => key === record.key && to === 'removed' && epoch > record.epoch) ?? false
}

/** An anonymous account can be reached by nothing but the session that is over. */
export function canReturn(record: UserRecord): boolean {
  return record.vault.kind !== 'open' || record.vault.contents.identities.some(({ provider }) => provider !== 'anonymous')
}

/** The event that leads from one state to the one that is stored now, or `null` if nothing happened. */
export function authEventTo<User>(before: AuthState<User>, now: AuthState<User>): AuthEvent<User> | null {
  const sameUser = currentUserOf(before) !== null && currentUserOf(before) === currentUserOf(now)
  switch (now.kind) {
    case 'signed-out':
      return before.kind === 'signed-out' ? null : before.kind === 'restoring' ? { type: 'restored', state: now } : { type: 'left' }
    case 'signed-in':
      if (before.kind === 'signed-in' && sameUser)
        return before.access === now.access ? null : { type: 'access-changed', access: now.access }
      return before.kind === 'restoring' ? { type: 'restored', state: now } : { type: 'session-saved', user: now.user, access: now.access }
    case 'login-required':
      if (before.kind === 'login-required' && sameUser) return null
      if (before.kind === 'signed-in' && sameUser) return { type: 'session-over', reason: now.reason, canReturn: now.canReturn }
      return before.kind === 'restoring' ? { type: 'restored', state: now } : { type: 'switched', state: now }
    case 'locked':
      if (before.kind === 'locked' && isSameLock(before, now)) return null
      return { type: 'locked', locked: now }
    case 'restoring':
    case 'unavailable':
      return before.kind === now.kind ? null : { type: 'switched', state: now }
  }
}

function isSameLock(a: LockedState, b: LockedState): boolean {
  return (
    a.user.key === b.user.key &&
    a.why === b.why &&
    a.session.kind === b.session.kind &&
    a.retryAtMs === b.retryAtMs &&
    a.attemptsLeft === b.attemptsLeft &&
    a.methods.join() === b.methods.join()
  )
}
