import { type Bytes, toBase64url, utf8 } from './encoding.ts'

/**
 * A user's data key (DEK) as it is held while the user is open: a root that derives but does not leave the platform,
 * and the key of the vault made from it. `id` is random and says which key an envelope was made with.
 */
export interface DataKey {
  readonly id: string
  readonly root: CryptoKey
  readonly vault: CryptoKey
}

/** The 256 random bits of a data key while a slot is made or opened. Erase them with `eraseBytes` as soon as they have been used. */
export interface RawDataKey {
  readonly id: string
  readonly bytes: Bytes
}

export function newRawDataKey(randomBytes: (length: number) => Bytes): RawDataKey {
  return { id: toBase64url(randomBytes(9)), bytes: randomBytes(32) }
}

export async function openDataKey({ id, bytes }: RawDataKey): Promise<DataKey> {
  const root = await crypto.subtle.importKey('raw', bytes, 'HKDF', false, ['deriveKey'])
  return dataKeyFromRoot(id, root)
}

/** From a root that another tab handed over. */
export async function dataKeyFromRoot(id: string, root: CryptoKey): Promise<DataKey> {
  return { id, root, vault: await sealingKey(root, 'nightlatch/vault') }
}

/** An AES-256-GCM key for one purpose, by HKDF-SHA-256 (RFC 5869) from key material that is already uniform. */
export function sealingKey(root: CryptoKey, purpose: string): Promise<CryptoKey> {
  const salt = new Uint8Array(32)
  return crypto.subtle.deriveKey(
    { name: 'HKDF', hash: 'SHA-256', salt, info: utf8(purpose) },
    root,
    { name: 'AES-GCM', length: 256 },
    false,
    ['encrypt', 'decrypt'],
  )
}

export function eraseBytes(bytes: Uint8Array): void {
  bytes.fill(0)
}
