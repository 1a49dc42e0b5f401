import type { RecordStatus, RefreshIntent, UnlockMethod, UserKey, UserRecord, UserRecordDraft } from '@nightlatch/auth-core'
import { isPlainObject } from './encoding.ts'
import { type Envelope, parseEnvelope } from './envelope.ts'
import type { Slots } from './slot.ts'

/** What of a user's record lies open: it says nothing about the person and gives no access. */
export type UserFacts = Omit<UserRecordDraft, 'key' | 'vault' | 'sealedData' | keyof DevicePart>

/** What any start of the app on this device may read, locked users included. */
export type DevicePart = Pick<UserRecordDraft, 'label' | 'revokeHandle'>

/** A user as it is stored. */
export interface UserRow {
  readonly facts: UserFacts
  /** Counts log-outs and locks: a data key that was opened before the last one is no longer used. */
  readonly locks: number
  readonly slots: Slots
  /** Slots that are damaged or of a later version: handed back as they are. */
  readonly unreadSlots: Readonly<Record<string, unknown>>
  /** `unknown` when it is damaged: kept as it is, byte for byte, until something better is written. */
  readonly vault: Envelope | { readonly damaged: unknown }
  /** `DevicePart`, sealed under the device's key. */
  readonly devicePart?: Envelope
  /** Wrong secrets in a row, and when the user was seen: `SignedNumbers`, checked when they are needed. */
  readonly attempts?: unknown
  readonly clock?: unknown
  /** Sealed data that could not be opened when a new data key replaced its own. Never overwritten. */
  readonly quarantine?: readonly unknown[]
}

/** Reads a stored row, salvaging what is sound: a damaged record costs that one user its vault, nobody else anything (S10). */
export function parseUserRow(key: UserKey, stored: unknown): UserRow {
  const row = isPlainObject(stored) ? stored : {}
  const facts = isPlainObject(row.facts) ? row.facts : {}
  const vault = parseEnvelope(row.vault)
  const devicePart = parseEnvelope(row.devicePart)
  return {
    facts: {
      ...facts,
      epoch: countOf(facts.epoch),
      generation: countOf(facts.generation),
      status: statusOf(facts.status),
      tags: Array.isArray(facts.tags) ? facts.tags.filter((tag) => typeof tag === 'string') : [],
      incarnation: typeof facts.incarnation === 'string' ? facts.incarnation : `lost-${key}`,
      ...intentOf(facts.refreshIntent),
    },
    locks: countOf(row.locks),
    ...slotsOf(row.slots),
    vault: vault ?? { damaged: row.vault ?? null },
    ...(devicePart && { devicePart }),
    ...('attempts' in row && { attempts: row.attempts }),
    ...('clock' in row && { clock: row.clock }),
    ...(Array.isArray(row.quarantine) && { quarantine: row.quarantine }),
  }
}

/** The opposite of `parseUserRow`. */
export function storedUserRow({ slots, unreadSlots, vault, ...rest }: UserRow): object {
  return { ...rest, slots: { ...unreadSlots, ...slots }, vault: isDamaged(vault) ? vault.damaged : vault }
}

/** The row with nothing left in it that opens without a secret. */
export function withoutDeviceSlot(row: UserRow): UserRow {
  const { device: _slot, ...slots } = row.slots
  const { device: _damaged, ...unreadSlots } = row.unreadSlots
  return { ...row, slots, unreadSlots }
}

export function factsOf(draft: UserRecordDraft & Partial<Pick<UserRecord, 'revision'>>): UserFacts {
  const { key: _key, vault: _vault, sealedData: _sealed, label: _label, revokeHandle: _handle, revision: _revision, ...facts } = draft
  return facts
}

export function isDamaged(vault: UserRow['vault']): vault is { readonly damaged: unknown } {
  return 'damaged' in vault
}

function countOf(value: unknown): number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : 0
}

function statusOf(value: unknown): RecordStatus {
  if (!isPlainObject(value)) return { kind: 'logged-out' }
  if (value.kind === 'signed-in') return { kind: 'signed-in' }
  if (value.kind === 'unverified' && typeof value.ownerLock === 'string') return { kind: 'unverified', ownerLock: value.ownerLock }
  if (value.kind === 'over' && typeof value.reason === 'string') return { kind: 'over', reason: overReasonOf(value.reason) }
  return { kind: 'logged-out' }
}

type Over = Extract<RecordStatus, { kind: 'over' }>['reason']
const overReasons: Readonly<Record<Over, true>> = {
  expired: true,
  revoked: true,
  reuse: true,
  disabled: true,
  deleted: true,
  'credential-changed': true,
  'device-wiped': true,
  unverified: true,
  unknown: true,
}

function overReasonOf(value: string): Over {
  return Object.keys(overReasons).find((reason): reason is Over => reason === value) ?? 'unknown'
}

function intentOf(value: unknown): { refreshIntent?: RefreshIntent } {
  return isIntent(value) ? { refreshIntent: value } : {}
}

function isIntent(value: unknown): value is RefreshIntent {
  return (
    isPlainObject(value) &&
    typeof value.attemptId === 'string' &&
    typeof value.generation === 'number' &&
    typeof value.ownerLock === 'string' &&
    typeof value.writtenAtMs === 'number'
  )
}

function slotsOf(value: unknown): Pick<UserRow, 'slots' | 'unreadSlots'> {
  const slots: { -readonly [method in keyof Slots]: Slots[method] } = {}
  const unreadSlots: Record<string, unknown> = {}
  for (const [method, stored] of Object.entries(isPlainObject(value) ? value : {})) {
    const slot = parseEnvelope(stored)
    if (slot && isMethod(method)) slots[method] = slot
    else unreadSlots[method] = stored
  }
  return { slots, unreadSlots }
}

const methods: Readonly<Record<UnlockMethod, true>> = { password: true, passphrase: true, pin: true, device: true, server: true }

function isMethod(name: string): name is UnlockMethod {
  return Object.hasOwn(methods, name)
}
