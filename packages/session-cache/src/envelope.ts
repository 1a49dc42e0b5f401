import { FlattenedEncrypt, flattenedDecrypt } from 'jose'
import { type Bytes, framed, fromBase64url, isCanonicalBase64url, isPlainObject, toBase64url } from './encoding.ts'

/**
 * Sealed bytes as they are stored: a flattened JWE (RFC 7516 section 7.2.2), `dir` with `A256GCM`, without its `aad` member:
 * what an envelope belongs to is recomputed when it is opened, so a moved one does not open.
 */
export interface Envelope {
  readonly protected: string
  readonly iv: string
  readonly ciphertext: string
  readonly tag: string
}

/** What an envelope belongs to. `field`: `vault`, `slot:password`, `outbox`, … */
export interface Binding {
  readonly appId: string
  readonly issuer: string
  readonly record: string
  readonly field: string
}

/** The readable, authenticated part of an envelope. `v`: version of the envelope and its binding; `kid`: the key it was made with. */
export interface EnvelopeHeader {
  readonly v: number
  readonly kid?: string
  readonly kdf?: Readonly<Record<string, unknown>>
}

/** The envelope was changed, belongs elsewhere, or the key is another one. Which of these is not told apart. */
export class EnvelopeRefused extends Error {
  override readonly name = 'EnvelopeRefused'
}

export const ENVELOPE_VERSION = 1

const IV_BYTES = 12
const TAG_BYTES = 16

/** Encrypts with AES-256-GCM and a fresh random IV. */
export async function seal(
  key: CryptoKey,
  plaintext: Uint8Array,
  binding: Binding,
  header: Omit<EnvelopeHeader, 'v'> = {},
): Promise<Envelope> {
  const jwe = await new FlattenedEncrypt(plaintext)
    .setProtectedHeader({ alg: 'dir', enc: 'A256GCM', v: ENVELOPE_VERSION, ...header })
    .setAdditionalAuthenticatedData(associatedData(binding))
    .encrypt(key)
  const envelope = parseEnvelope({ protected: jwe.protected, iv: jwe.iv, ciphertext: jwe.ciphertext, tag: jwe.tag })
  if (!envelope) throw new Error('jose made an envelope that cannot be read back.')
  return envelope
}

/** @throws {EnvelopeRefused} */
export async function unseal(key: CryptoKey, envelope: Envelope, binding: Binding): Promise<Bytes> {
  if (!parseEnvelope(envelope)) throw new EnvelopeRefused('The stored envelope does not have the form that was written.')
  const { protected: header, iv, ciphertext, tag } = envelope
  try {
    const { plaintext } = await flattenedDecrypt(
      { protected: header, iv, ciphertext, tag, aad: toBase64url(associatedData(binding)) },
      key,
      { keyManagementAlgorithms: ['dir'], contentEncryptionAlgorithms: ['A256GCM'] },
    )
    return new Uint8Array(plaintext)
  } catch {
    // jose's cause says nothing that helps and might one day quote its input.
    throw new EnvelopeRefused('The stored envelope was changed, belongs to another record, or was made with another key.')
  }
}

/** Checks form only: the four members and no other, each the canonical base64url of something of the right length, a header of ours. */
export function parseEnvelope(value: unknown): Envelope | null {
  if (!isPlainObject(value) || Object.keys(value).length !== 4) return null
  const { protected: header, iv, ciphertext, tag } = value
  if (!isCanonicalText(header) || !isCanonicalText(iv) || !isCanonicalText(ciphertext) || !isCanonicalText(tag)) return null
  if (fromBase64url(iv).length !== IV_BYTES || fromBase64url(tag).length !== TAG_BYTES) return null
  return readHeader(header) ? { protected: header, iv, ciphertext, tag } : null
}

/** The header as it stands there: believe it only after `unseal`. */
export function headerOf(envelope: Envelope): EnvelopeHeader {
  return readHeader(envelope.protected) ?? { v: Number.NaN }
}

function readHeader(encoded: string): EnvelopeHeader | null {
  try {
    const header: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(fromBase64url(encoded)))
    if (!isPlainObject(header) || !Number.isSafeInteger(header.v)) return null
    return {
      v: Number(header.v),
      ...(typeof header.kid === 'string' && { kid: header.kid }),
      ...(isPlainObject(header.kdf) && { kdf: header.kdf }),
    }
  } catch {
    return null
  }
}

function isCanonicalText(value: unknown): value is string {
  return typeof value === 'string' && isCanonicalBase64url(value)
}

function associatedData({ appId, issuer, record, field }: Binding): Bytes {
  return framed('nightlatch', `v${ENVELOPE_VERSION}`, appId, issuer, record, field)
}
