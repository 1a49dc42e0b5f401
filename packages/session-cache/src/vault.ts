import type { Session, UserIdentity, Vault, VaultContents } from '@nightlatch/auth-core'
import type { DataKey } from './data-key.ts'
import { isPlainObject, utf8 } from './encoding.ts'
import { type Binding, ENVELOPE_VERSION, type Envelope, headerOf, seal, unseal } from './envelope.ts'

/** Version of what is inside. A higher one is kept unread; the schema of the collection never changes. */
const PAYLOAD_VERSION = 1

export function sealVault(key: DataKey, contents: VaultContents, binding: Omit<Binding, 'field'>): Promise<Envelope> {
  return seal(key.vault, utf8(JSON.stringify({ v: PAYLOAD_VERSION, contents })), { ...binding, field: 'vault' }, { kid: key.id })
}

export async function openVault(key: DataKey, envelope: Envelope, binding: Omit<Binding, 'field'>): Promise<Vault> {
  if (isNewer(envelope)) return { kind: 'newer' }
  try {
    const payload: unknown = JSON.parse(new TextDecoder().decode(await unseal(key.vault, envelope, { ...binding, field: 'vault' })))
    if (!isPlainObject(payload)) return { kind: 'damaged' }
    if (typeof payload.v === 'number' && payload.v > PAYLOAD_VERSION) return { kind: 'newer' }
    return isVaultContents(payload.contents) ? { kind: 'open', contents: payload.contents } : { kind: 'damaged' }
  } catch {
    return { kind: 'damaged' }
  }
}

/** Whether the envelope says it was written by a later version. */
export function isNewer(envelope: Envelope): boolean {
  return headerOf(envelope).v > ENVELOPE_VERSION
}

function isVaultContents(value: unknown): value is VaultContents {
  return (
    isPlainObject(value) &&
    typeof value.userId === 'string' &&
    isOptional(value.deviceId, 'string') &&
    (value.session === undefined || isSession(value.session)) &&
    Array.isArray(value.identities) &&
    value.identities.every(isIdentity) &&
    isPlainObject(value.profile) &&
    isPlainObject(value.customData) &&
    isOptional(value.serverOffsetMs, 'number') &&
    isOptional(value.profileReadAtMs, 'number')
  )
}

function isSession(value: unknown): value is Session {
  return (
    isPlainObject(value) &&
    typeof value.accessToken === 'string' &&
    Number.isFinite(value.accessLifeMs) &&
    Number.isFinite(value.accessExpiresAtMs) &&
    isOptional(value.id, 'string') &&
    isOptional(value.refreshToken, 'string') &&
    isOptional(value.idleEndsAtMs, 'number') &&
    isOptional(value.endsAtMs, 'number') &&
    isOptional(value.revokeHandle, 'string')
  )
}

function isIdentity(value: unknown): value is UserIdentity {
  return isPlainObject(value) && typeof value.id === 'string' && typeof value.provider === 'string'
}

function isOptional(value: unknown, type: 'string' | 'number'): boolean {
  return value === undefined || typeof value === type
}
