import { type KeyProvider, type UnlockMethod, UnlockRefused, type UserKey } from '@nightlatch/auth-core'
import { eraseBytes, type RawDataKey } from './data-key.ts'
import { type Bytes, fromBase64url } from './encoding.ts'
import { type Envelope, headerOf } from './envelope.ts'
import {
  type DeriveKey,
  fallbackKdf,
  type KdfSettings,
  newParameters,
  parseParameters,
  sameSettings,
  secretBytes,
} from './key-derivation.ts'
import type { BindUser } from './keyring.ts'
import { slotKey, unwrapDataKey, wrapDataKey } from './slot.ts'
import type { UserRow } from './user-row.ts'

export interface SecretSlotsParts {
  readonly keys: KeyProvider
  readonly bind: BindUser
  readonly randomBytes: (length: number) => Bytes
  readonly derive: DeriveKey
  readonly kdf: KdfSettings
  /** Whether the settings can be computed here (a content security policy may forbid WebAssembly). */
  readonly canDerive: (settings: KdfSettings) => Promise<boolean>
}

/** Slots that open with something a person knows, or with the server's unlock key. */
export class SecretSlots {
  readonly #parts: SecretSlotsParts

  constructor(parts: SecretSlotsParts) {
    this.#parts = parts
  }

  /** @throws {UnlockRefused} `weak-secret` */
  check(kind: UnlockMethod, secret: string): void {
    if (kind === 'device' || kind === 'server') throw new UnlockRefused('weak-secret', 'Only secrets that a person knows can be enrolled.')
    if (secret.length === 0) throw new UnlockRefused('weak-secret', 'The secret is empty.')
    if (kind === 'passphrase' && secret.length < 8) throw new UnlockRefused('weak-secret', 'A passphrase needs at least 8 characters.')
    if (kind !== 'pin') return
    if (this.#parts.keys.quality === 'none') {
      throw new UnlockRefused(
        'weak-secret',
        'A PIN protects nothing where the browser holds the keys: who copies the profile tries all of them in minutes.',
      )
    }
    if (!/^\d{6,}$/.test(secret) || isCommonPin(secret))
      throw new UnlockRefused('weak-secret', 'A PIN needs at least 6 digits that are not a pattern.')
  }

  async wrap(key: UserKey, raw: RawDataKey, kind: UnlockMethod, secret: string): Promise<Envelope> {
    this.check(kind, secret)
    const settings = (await this.#parts.canDerive(this.#parts.kdf)) ? this.#parts.kdf : fallbackKdf
    const parameters = newParameters(settings, this.#parts.randomBytes)
    const wrapping = await this.#slotKey(key, kind, await this.#derive(secret, parameters))
    return wrapDataKey(wrapping, raw, this.#parts.bind(key), kind, parameters)
  }

  /** The data key, or `null` when the secret is wrong or the slot damaged: the two are not told apart. */
  async open(key: UserKey, row: UserRow, kind: UnlockMethod, secret: string): Promise<RawDataKey | null> {
    if (kind === 'server') return this.openServer(key, row, serverKeyOf(secret))
    const slot = row.slots[kind]
    const parameters = slot && parseParameters(headerOf(slot).kdf)
    if (!parameters) return null
    return this.#unwrap(key, kind, slot, await this.#derive(secret, parameters))
  }

  async wrapServer(key: UserKey, raw: RawDataKey, unlockKey: Bytes): Promise<Envelope> {
    return wrapDataKey(await this.#slotKey(key, 'server', unlockKey.slice()), raw, this.#parts.bind(key), 'server')
  }

  async openServer(key: UserKey, row: UserRow, unlockKey: Bytes): Promise<RawDataKey | null> {
    return row.slots.server ? this.#unwrap(key, 'server', row.slots.server, unlockKey.slice()) : null
  }

  /** Whether the slot was made with today's settings. */
  isCurrent(slot: Envelope | undefined): boolean {
    const parameters = slot && parseParameters(headerOf(slot).kdf)
    return parameters ? sameSettings(parameters, this.#parts.kdf) : true
  }

  /** Takes as long as trying a slot, so that time does not tell who is known here. */
  async spendAsMuch(kind: UnlockMethod, secret: string): Promise<void> {
    if (kind === 'server' || kind === 'device') return
    const settings = (await this.#parts.canDerive(this.#parts.kdf)) ? this.#parts.kdf : fallbackKdf
    eraseBytes(await this.#derive(secret, newParameters(settings, this.#parts.randomBytes)))
  }

  async #unwrap(key: UserKey, kind: UnlockMethod, slot: Envelope, material: Bytes): Promise<RawDataKey | null> {
    const wrapping = await this.#slotKey(key, kind, material)
    try {
      return await unwrapDataKey(wrapping, slot, this.#parts.bind(key), kind)
    } catch {
      return null
    }
  }

  async #slotKey(key: UserKey, kind: UnlockMethod, material: Bytes): Promise<CryptoKey> {
    const made = await slotKey(await this.#parts.keys.userFactor(key), kind, material)
    eraseBytes(material)
    return made
  }

  #derive(secret: string, parameters: ReturnType<typeof newParameters>): Promise<Bytes> {
    return this.#parts.derive(secretBytes(secret), fromBase64url(parameters.salt), parameters)
  }
}

/** The server's unlock key as `DeviceVault.unlock` takes it: base64url. */
function serverKeyOf(secret: string): Bytes {
  try {
    return fromBase64url(secret)
  } catch {
    return new Uint8Array()
  }
}

/** Repeated digits, runs up and down, and what people choose most. */
function isCommonPin(pin: string): boolean {
  const steps = new Set(Array.from(pin.slice(1), (digit, index) => Number(digit) - Number(pin[index])))
  const isRun = steps.size === 1 && [-1, 0, 1].includes([...steps][0] ?? 0)
  return isRun || commonPins.has(pin)
}

const commonPins = new Set(['112233', '121212', '123123', '123321', '131313', '147258', '159753', '654123', '696969', '789456'])
