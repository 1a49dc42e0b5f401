import type {
  DeviceRecord,
  DeviceRecordDraft,
  PendingRedirect,
  PendingRevocation,
  PendingWipe,
  PlatformKey,
  UserKey,
} from '@nightlatch/auth-core'
import { sealingKey } from './data-key.ts'
import { framed, isPlainObject, toBase64url, utf8 } from './encoding.ts'
import { type Binding, type Envelope, parseEnvelope, seal, unseal } from './envelope.ts'

/** The device's row as it is stored. Revoke handles and verifiers are sealed; the rest says nothing about anybody. */
export interface DeviceRow {
  readonly currentUser: UserKey | null
  readonly epoch: number
  readonly switchEpoch: number
  readonly wipes: readonly PendingWipe[]
  readonly sealed: Envelope | null
  /** Proof that the device key is still the one this store was made with. */
  readonly keyCheck: string
}

/** What the device's row needs from the platform's key. */
export interface DeviceKeys {
  readonly sealing: CryptoKey
  readonly keyCheck: string
}

export async function deviceKeys(deviceKey: PlatformKey): Promise<DeviceKeys> {
  const mac = await deviceKey.mac(framed('nightlatch/device-seal'))
  const root = await crypto.subtle.importKey('raw', mac, 'HKDF', false, ['deriveKey'])
  return {
    sealing: await sealingKey(root, 'nightlatch/device-seal'),
    keyCheck: toBase64url(await deviceKey.mac(framed('nightlatch/key-check'))),
  }
}

export function parseDeviceRow(stored: unknown): DeviceRow | null {
  if (!isPlainObject(stored)) return null
  const { currentUser, epoch, switchEpoch, wipes, sealed, keyCheck } = stored
  if (typeof epoch !== 'number' || typeof switchEpoch !== 'number' || typeof keyCheck !== 'string') return null
  return {
    currentUser: typeof currentUser === 'string' ? (currentUser as UserKey) : null,
    epoch,
    switchEpoch,
    wipes: Array.isArray(wipes) ? wipes.filter(isWipe) : [],
    sealed: parseEnvelope(sealed),
    keyCheck,
  }
}

export async function sealDeviceRow(
  { currentUser, epoch, switchEpoch, wipes, outbox, redirects }: DeviceRecordDraft,
  keys: DeviceKeys,
  binding: Omit<Binding, 'field'>,
): Promise<DeviceRow> {
  const sealed = await seal(keys.sealing, utf8(JSON.stringify({ v: 1, outbox, redirects })), { ...binding, field: 'outbox' })
  return { currentUser, epoch, switchEpoch, wipes, sealed, keyCheck: keys.keyCheck }
}

/** A sealed part that does not open costs the undelivered revocations (the sessions then end at the server by themselves), nothing else. */
export async function openDeviceRow(
  row: DeviceRow,
  keys: DeviceKeys,
  binding: Omit<Binding, 'field'>,
): Promise<Omit<DeviceRecord, 'revision'>> {
  const { currentUser, epoch, switchEpoch, wipes, sealed } = row
  const hidden = sealed ? await openHidden(sealed, keys, binding) : {}
  return {
    currentUser,
    epoch,
    switchEpoch,
    wipes,
    outbox: Array.isArray(hidden.outbox) ? hidden.outbox.filter(isRevocation) : [],
    redirects: Array.isArray(hidden.redirects) ? hidden.redirects.filter(isRedirect) : [],
  }
}

export const emptyDevice: DeviceRecordDraft = { currentUser: null, epoch: 0, switchEpoch: 0, wipes: [], outbox: [], redirects: [] }

async function openHidden(sealed: Envelope, keys: DeviceKeys, binding: Omit<Binding, 'field'>): Promise<Record<string, unknown>> {
  try {
    const hidden: unknown = JSON.parse(new TextDecoder().decode(await unseal(keys.sealing, sealed, { ...binding, field: 'outbox' })))
    return isPlainObject(hidden) ? hidden : {}
  } catch {
    return {}
  }
}

function isWipe(value: unknown): value is PendingWipe {
  return isPlainObject(value) && typeof value.incarnation === 'string' && typeof value.requestedAtMs === 'number'
}

function isRevocation(value: unknown): value is PendingRevocation {
  return (
    isPlainObject(value) && typeof value.id === 'string' && typeof value.revokeHandle === 'string' && typeof value.queuedAtMs === 'number'
  )
}

function isRedirect(value: unknown): value is PendingRedirect {
  return (
    isPlainObject(value) && typeof value.state === 'string' && typeof value.verifier === 'string' && typeof value.begunAtMs === 'number'
  )
}
