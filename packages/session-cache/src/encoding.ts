import { base64url } from 'jose'

export type Bytes = Uint8Array<ArrayBuffer>

export function utf8(text: string): Bytes {
  return new TextEncoder().encode(text)
}

export function toBase64url(bytes: Uint8Array): string {
  return base64url.encode(bytes)
}

/** @throws when `text` is not base64url */
export function fromBase64url(text: string): Bytes {
  return new Uint8Array(base64url.decode(text))
}

/**
 * Whether `text` is the one way to write its bytes. Decoders ignore the unused bits of the last character, so without this
 * a flipped bit of the stored text could go unnoticed (C1).
 */
export function isCanonicalBase64url(text: string): boolean {
  try {
    return toBase64url(fromBase64url(text)) === text
  } catch {
    return false
  }
}

/** Joins parts so that different lists never give the same bytes: each part stands behind its length (4 bytes, big-endian). */
export function framed(...parts: readonly (string | Uint8Array)[]): Bytes {
  const encoded = parts.map((part) => (typeof part === 'string' ? utf8(part) : part))
  const joined = new Uint8Array(encoded.reduce((length, part) => length + 4 + part.length, 0))
  const view = new DataView(joined.buffer)
  let offset = 0
  for (const part of encoded) {
    view.setUint32(offset, part.length)
    joined.set(part, offset + 4)
    offset += 4 + part.length
  }
  return joined
}

export function isPlainObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
