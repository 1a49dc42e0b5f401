import { type Bytes, fromBase64url, isCanonicalBase64url, isPlainObject, toBase64url, utf8 } from './encoding.ts'

/** What it costs to try a secret. Argon2id: RFC 9106; PBKDF2 (HMAC-SHA-256) only where a content security policy forbids WebAssembly. */
export type KdfSettings =
  | { readonly name: 'argon2id'; readonly memoryKiB: number; readonly passes: number }
  | { readonly name: 'pbkdf2'; readonly iterations: number }

/** 64 MiB, three passes: about 230 ms on a laptop. */
export const defaultKdf: KdfSettings = { name: 'argon2id', memoryKiB: 65_536, passes: 3 }
/** OWASP's minimum. Nothing below it is made or believed. */
export const floorKdf = { name: 'argon2id', memoryKiB: 19_456, passes: 2 } as const satisfies KdfSettings
export const fallbackKdf = { name: 'pbkdf2', iterations: 600_000 } as const satisfies KdfSettings

/** Settings and salt as they stand in a slot's header. */
export type KdfParameters = KdfSettings & { readonly salt: string }

/** Derives 32 bytes. Runs off the main thread where the platform has workers. */
export type DeriveKey = (secret: Bytes, salt: Bytes, settings: KdfSettings) => Promise<Bytes>

const SALT_BYTES = 16
const CEILING = { memoryKiB: 1_048_576, passes: 16, iterations: 10_000_000 } as const

export function newParameters(settings: KdfSettings, randomBytes: (length: number) => Bytes): KdfParameters {
  return { ...settings, salt: toBase64url(randomBytes(SALT_BYTES)) }
}

/** Parameters from a slot's header, or `null` outside floor and ceiling: a weakened or a suffocating slot is not tried. */
export function parseParameters(stored: unknown): KdfParameters | null {
  if (!isPlainObject(stored) || typeof stored.salt !== 'string' || !isCanonicalBase64url(stored.salt)) return null
  if (fromBase64url(stored.salt).length !== SALT_BYTES) return null
  const { name, memoryKiB, passes, iterations, salt } = stored
  if (
    name === 'argon2id' &&
    isWithin(memoryKiB, floorKdf.memoryKiB, CEILING.memoryKiB) &&
    isWithin(passes, floorKdf.passes, CEILING.passes)
  ) {
    return { name, memoryKiB, passes, salt }
  }
  if (name === 'pbkdf2' && isWithin(iterations, fallbackKdf.iterations, CEILING.iterations)) return { name, iterations, salt }
  return null
}

/** @throws {RangeError} for settings that no slot would be believed with */
export function checkedSettings(settings: KdfSettings): KdfSettings {
  if (!parseParameters({ ...settings, salt: 'AAAAAAAAAAAAAAAAAAAAAA' })) {
    throw new RangeError(
      'The key derivation is outside what is accepted: at least Argon2id with 19 MiB and 2 passes, or PBKDF2 with 600,000 iterations.',
    )
  }
  return settings
}

export function sameSettings(a: KdfSettings, b: KdfSettings): boolean {
  if (a.name === 'argon2id') return b.name === 'argon2id' && a.memoryKiB === b.memoryKiB && a.passes === b.passes
  return b.name === 'pbkdf2' && a.iterations === b.iterations
}

/** What a person typed, as the bytes to derive from: one spelling (NFC) for what keyboards may compose differently. */
export function secretBytes(secret: string): Bytes {
  return utf8(secret.normalize('NFC'))
}

/** Derives on this thread. */
export const deriveKey: DeriveKey = async (secret, salt, settings) => {
  if (settings.name === 'pbkdf2') return pbkdf2(secret, salt, settings.iterations)
  const { argon2id } = await import('hash-wasm')
  const { memoryKiB: memorySize, passes: iterations } = settings
  const hash = await argon2id({ password: secret, salt, memorySize, iterations, parallelism: 1, hashLength: 32, outputType: 'binary' })
  return new Uint8Array(hash)
}

async function pbkdf2(secret: Bytes, salt: Bytes, iterations: number): Promise<Bytes> {
  const key = await crypto.subtle.importKey('raw', secret, 'PBKDF2', false, ['deriveBits'])
  return new Uint8Array(await crypto.subtle.deriveBits({ name: 'PBKDF2', hash: 'SHA-256', salt, iterations }, key, 256))
}

function isWithin(value: unknown, floor: number, ceiling: number): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= floor && value <= ceiling
}
