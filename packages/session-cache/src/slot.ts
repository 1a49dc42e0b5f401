import type { PlatformKey, UnlockMethod } from '@nightlatch/auth-core'
import { eraseBytes, type RawDataKey, sealingKey } from './data-key.ts'
import { framed } from './encoding.ts'
import { type Binding, type Envelope, EnvelopeRefused, headerOf, seal, unseal } from './envelope.ts'

/** One wrapping of a user's data key per way to open it. */
export type Slots = { readonly [method in UnlockMethod]?: Envelope }

const DATA_KEY_BYTES = 32

/**
 * The key that wraps a data key. The device's factor is applied *after* whatever was derived from a secret, so that every guess
 * needs the factor. `material` is empty for the `device` slot.
 */
export async function slotKey(factor: PlatformKey, method: UnlockMethod, material: Uint8Array): Promise<CryptoKey> {
  const mac = await factor.mac(framed('nightlatch/slot', method, material))
  const root = await crypto.subtle.importKey('raw', mac, 'HKDF', false, ['deriveKey'])
  eraseBytes(mac)
  return sealingKey(root, 'nightlatch/slot-key')
}

export function wrapDataKey(
  key: CryptoKey,
  raw: RawDataKey,
  binding: Omit<Binding, 'field'>,
  method: UnlockMethod,
  kdf?: Readonly<Record<string, unknown>>,
): Promise<Envelope> {
  return seal(key, raw.bytes, { ...binding, field: `slot:${method}` }, { kid: raw.id, ...(kdf && { kdf }) })
}

/** @throws {EnvelopeRefused} */
export async function unwrapDataKey(
  key: CryptoKey,
  slot: Envelope,
  binding: Omit<Binding, 'field'>,
  method: UnlockMethod,
): Promise<RawDataKey> {
  const bytes = await unseal(key, slot, { ...binding, field: `slot:${method}` })
  const id = headerOf(slot).kid
  if (!id || bytes.length !== DATA_KEY_BYTES) throw new EnvelopeRefused('The slot holds no data key.')
  return { id, bytes }
}
