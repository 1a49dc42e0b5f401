import type { ProviderName } from './credentials.ts'
import type { OverReason } from './outcome.ts'
import type { Session } from './session.ts'

/** Names one user's record on this device: random, says nothing about the person, never sent to the server. */
export type UserKey = string & { readonly brand: 'UserKey' }

/** Changes with every write of a record. Opaque; compared by the store. */
export type Revision = string & { readonly brand: 'Revision' }

/** One user of one app on one device, as auth-core sees it. A store may keep more in the same row and must hand it back untouched. */
export interface UserRecord {
  readonly key: UserKey
  readonly revision: Revision
  /** Drawn from the device's counter at log-in, log-out and removal: an answer to a request of an older epoch is too late (S4). */
  readonly epoch: number
  /** Grants accepted in this epoch. */
  readonly generation: number
  readonly status: RecordStatus
  /** Look-up values made by `SessionStore.tag`. */
  readonly tags: readonly string[]
  /** Part of the name of the user's database; drawn anew when a removed user returns, so that an unfinished wipe cannot hit it. */
  readonly incarnation: string
  readonly refreshIntent?: RefreshIntent
  readonly vault: Vault
  /** What a chooser of accounts may show while the user is locked. Sealed for the device, kept only where labels were opted in. */
  readonly label?: string
  /** The session's revoke handle, sealed for the device, so that a locked user can be logged out at the server too (S5). */
  readonly revokeHandle?: string
  /** Told by the store, never stored: a former key of this user sealed something that a secret of then may open. */
  readonly sealedData?: SealedData
}

/** What nobody could open when the user got a new key. `pending`: whether writes are in there can only be told once it is open. */
export interface SealedData {
  readonly pending: 'unknown'
}

/** The name of a user's database: an unfinished wipe of one incarnation can never hit the next (G2). */
export function databaseName(appId: string, incarnation: string): string {
  return `nl-${appId}-${incarnation.toLowerCase()}`
}

export type RecordStatus =
  | { readonly kind: 'signed-in' }
  | { readonly kind: 'logged-out' }
  | { readonly kind: 'over'; readonly reason: OverReason }
  /** Opened with the person's own secret while the server gave no answer. `ownerLock`: of the tab that still asks. */
  | { readonly kind: 'unverified'; readonly ownerLock: string }

/** Written before a refresh is sent, so that whoever comes later (this tab after a crash, another tab) repeats the same attempt. */
export interface RefreshIntent {
  readonly attemptId: string
  readonly generation: number
  /** The lock that the writer holds while it lives. */
  readonly ownerLock: string
  readonly writtenAtMs: number
  /** How often the server answered this attempt with `superseded`. */
  readonly superseded?: number
}

/** The record after its refresh was answered, or is of no interest any more. */
export function withoutIntent(record: UserRecord): UserRecord {
  const { refreshIntent: _, ...rest } = record
  return rest
}

/** What is sealed. `sealed`: the key is not in memory. `newer`: written by a later version of Nightlatch, kept unread. */
export type Vault =
  | { readonly kind: 'open'; readonly contents: VaultContents }
  | { readonly kind: 'sealed' }
  | { readonly kind: 'damaged' }
  | { readonly kind: 'newer' }

export interface VaultContents {
  readonly userId: string
  readonly deviceId?: string
  readonly session?: Session
  readonly identities: readonly UserIdentity[]
  readonly profile: UserProfile
  readonly customData: Readonly<Record<string, unknown>>
  /** Offset of the server's clock from this device's, milliseconds to add to the device's time. */
  readonly serverOffsetMs?: number
  /** When the server last said who this user is, by the server's clock. */
  readonly profileReadAtMs?: number
}

export interface UserIdentity {
  readonly id: string
  readonly provider: ProviderName
}

/** What the providers told about the person. Each member only if a provider gave it and the server lets it through. */
export interface UserProfile {
  readonly name?: string
  readonly email?: string
  readonly pictureUrl?: string
  readonly firstName?: string
  readonly lastName?: string
  readonly gender?: string
  readonly birthday?: string
  readonly minAge?: string
  readonly maxAge?: string
  readonly [field: string]: unknown
}

/** The one record that belongs to the device, not to a user. Its update is the commit point of everything that changes who is current. */
export interface DeviceRecord {
  readonly revision: Revision
  readonly currentUser: UserKey | null
  /** The highest epoch ever stamped. Never resets. */
  readonly epoch: number
  /** Stamped by a switch of the current user. */
  readonly switchEpoch: number
  /** Databases that are still to be wiped. */
  readonly wipes: readonly PendingWipe[]
  /** Revocations that are still to be delivered (S5). */
  readonly outbox: readonly PendingRevocation[]
  /** Log-ins by redirect that were begun and not finished. */
  readonly redirects: readonly PendingRedirect[]
  /** The anonymous user that was made last for whoever wants to share one: two tabs that make one at the same moment see it here (S9). */
  readonly anonymous?: UserKey
  /** Log-outs and removals that are decided and not yet carried out in the user's own record. */
  readonly leaves?: readonly PendingLeave[]
}

/** Written with the decision itself, so that a crash between the two records cannot undo a log-out (S5). */
export interface PendingLeave {
  readonly key: UserKey
  readonly epoch: number
  readonly to: 'logged-out' | 'removed'
}

export interface PendingWipe {
  readonly incarnation: string
  readonly requestedAtMs: number
}

export interface PendingRevocation {
  readonly id: string
  readonly revokeHandle: string
  readonly queuedAtMs: number
}

export interface PendingRedirect {
  readonly state: string
  readonly verifier: string
  readonly begunAtMs: number
}
