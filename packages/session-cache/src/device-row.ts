import type {
  DeviceRecord,
  DeviceRecordDraft,
  PendingRedirect,
  PendingRevocation,
  PendingWipe,
  PlatformKey,
  Revision,
  UserKey,
} from '@nightlatch/auth-core'
import { sealingKey } from './data-key.ts'
import { framed, isPlainObject, toBase64url, utf8 } from './encoding.ts'
import { type Binding, type Envelope, parseEnvelope, seal, unseal } from './envelope.ts'

/** What of the device's record lies open: it says nothing about anybody and gives no access. */
type DeviceFacts = Omit<DeviceRecordDraft, 'outbox' | 'redirects'>

/** The device's row as it is stored. Revoke handles and verifiers are sealed. */
export interface DeviceRow {
  readonly facts: DeviceFacts
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
  if (!isPlainObject(stored) || !isPlainObject(stored.facts) || typeof stored.keyCheck !== 'string') return null
  const { facts, sealed, keyCheck } = stored
  if (typeof facts.epoch !== 'number' || typeof facts.switchEpoch !== 'number') return null
  return {
    facts: {
      ...facts,
      currentUser: typeof facts.currentUser === 'string' ? (facts.currentUser as UserKey) : null,
      epoch: facts.epoch,
      switchEpoch: facts.switchEpoch,
      wipes: Array.isArray(facts.wipes) ? facts.wipes.filter(isWipe) : [],
    },
    sealed: parseEnvelope(sealed),
    keyCheck,
  }
}

export async function sealDeviceRow(
  { outbox, redirects, ...open }: DeviceRecordDraft & { readonly revision?: Revision },
  keys: DeviceKeys,
  binding: Omit<Binding, 'field'>,
): Promise<DeviceRow> {
  const { revision: _, ...facts } = open
  const sealed = await seal(keys.sealing, utf8(JSON.stringify({ v: 1, outbox, redirects })), { ...binding, field: 'outbox' })
  return { facts, sealed, keyCheck: keys.keyCheck }
}

/** A sealed part that does not open costs the undelivered revocations (the sessions then end at the server by themselves), nothing else. */
export async function openDeviceRow(
  row: DeviceRow,
  keys: DeviceKeys,
  binding: Omit<Binding, 'field'>,
): Promise<Omit<DeviceRecord, 'revision'>> {
  const hidden = row.sealed ? await openHidden(row.sealed, keys, binding) : {}
  return {
    ...row.facts,
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
