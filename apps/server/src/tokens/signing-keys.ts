import { randomBytes } from 'node:crypto'
import { type CryptoKey, exportJWK, generateKeyPair, importJWK, type JWK } from 'jose'
import { sql } from 'kysely'
import { type Database, type JsonObject, json, type Tx } from '../database/schema.ts'
import type { ServerKeys } from './server-keys.ts'

/** A key that signs access tokens (ES256). */
export interface SigningKey {
  readonly kid: string
  readonly publicJwk: JWK
  readonly publicKey: CryptoKey
  readonly privateKey: CryptoKey
  readonly signsUntilMs: number
}

const DAY_MS = 86_400_000
const SIGNS_FOR_MS = 90 * DAY_MS
/** Longer than any access token lives. */
const PUBLISHED_FOR_MS = DAY_MS
const RELOAD_AT_MOST_EVERY_MS = 2000
const MAINTAIN_EVERY_MS = 3_600_000

/**
 * The signing keys of the database: always one that signs and its successor, so that whoever caches the JWKS knows the next key long before
 * it is used (RFC 7517; 90 days of signing each).
 */
export class SigningKeys {
  readonly #db: Database
  readonly #wrapping: ServerKeys
  readonly #nowMs: () => number
  readonly #timer: NodeJS.Timeout
  #keys: readonly SigningKey[] = []
  #loadedAtMs = Number.NEGATIVE_INFINITY

  private constructor(db: Database, wrapping: ServerKeys, nowMs: () => number) {
    this.#db = db
    this.#wrapping = wrapping
    this.#nowMs = nowMs
    this.#timer = setInterval(() => void this.maintain().catch(() => {}), MAINTAIN_EVERY_MS).unref() // `signer` tries again
  }

  static async load(db: Database, wrapping: ServerKeys, nowMs: () => number): Promise<SigningKeys> {
    const keys = new SigningKeys(db, wrapping, nowMs)
    await keys.maintain()
    return keys
  }

  async signer(): Promise<SigningKey> {
    if (this.#thatSign().length < 2) await this.maintain()
    const [key] = this.#thatSign()
    if (!key) throw new Error('There is no signing key.')
    return key
  }

  /** Looks into the database for a key that another instance made; `kid` itself never gets there. */
  async find(kid: string | undefined): Promise<SigningKey | undefined> {
    const find = () => this.published().find((key) => key.kid === kid)
    const known = find()
    if (known || this.#nowMs() - this.#loadedAtMs < RELOAD_AT_MOST_EVERY_MS) return known
    await this.#load()
    return find()
  }

  /** Those with which a token may have been signed that is still good, or will be. */
  published(): readonly SigningKey[] {
    const now = this.#nowMs()
    return this.#keys.filter(({ signsUntilMs }) => signsUntilMs + PUBLISHED_FOR_MS > now)
  }

  /** Makes the keys that are missing. Instances do so one after the other. */
  async maintain(): Promise<void> {
    await this.#db.transaction().execute(async (tx) => {
      await sql`lock table signing_keys in share row exclusive mode`.execute(tx)
      const now = this.#nowMs()
      const rows = await tx.selectFrom('signing_keys').select('signs_until_ms').where('signs_until_ms', '>', now).execute()
      let lastUntilMs = Math.max(now, ...rows.map((row) => row.signs_until_ms))
      for (let missing = 2 - rows.length; missing > 0; missing--) {
        lastUntilMs += SIGNS_FOR_MS
        await this.#create(tx, lastUntilMs)
      }
    })
    await this.#load()
  }

  /**
   * Lets the successor sign from now on. Other instances follow within the hour.
   *
   * @param revoke also refuses what the old key has signed: for a key that got out. Clients refresh.
   */
  async retireSigner(revoke: boolean): Promise<void> {
    const { kid } = await this.signer()
    const now = this.#nowMs()
    const signs_until_ms = revoke ? now - PUBLISHED_FOR_MS : now
    await this.#db.updateTable('signing_keys').set({ signs_until_ms }).where('kid', '=', kid).execute()
    this.#keys = this.#keys.filter((key) => key.kid !== kid) // its end has changed: read it again
    await this.maintain()
  }

  close(): void {
    clearInterval(this.#timer)
  }

  #thatSign(): readonly SigningKey[] {
    const now = this.#nowMs()
    return this.#keys.filter(({ signsUntilMs }) => signsUntilMs > now)
  }

  async #load(): Promise<void> {
    this.#loadedAtMs = this.#nowMs()
    const rows = await this.#db.selectFrom('signing_keys').selectAll().orderBy('signs_until_ms').execute()
    this.#keys = await Promise.all(rows.map(async (row) => this.#keys.find(({ kid }) => kid === row.kid) ?? this.#unwrap(row)))
  }

  async #create(tx: Tx, signsUntilMs: number): Promise<void> {
    const kid = randomBytes(9).toString('base64url')
    const pair = await generateKeyPair('ES256', { extractable: true })
    const publicJwk = { ...(await exportJWK(pair.publicKey)), kid, alg: 'ES256', use: 'sig' }
    const privateJwk = JSON.stringify(await exportJWK(pair.privateKey))
    await tx
      .insertInto('signing_keys')
      .values({
        kid,
        public_jwk: json<JsonObject>({ ...publicJwk }),
        wrapped_private: this.#wrapping.current.wrap(privateJwk, wrapContext(kid)),
        created_at_ms: this.#nowMs(),
        signs_until_ms: signsUntilMs,
      })
      .execute()
  }

  async #unwrap(row: SigningKeyRow): Promise<SigningKey> {
    const wrapper = this.#wrapping.find(row.wrapped_private.split('.')[0] ?? '')
    if (!wrapper) throw new Error(`Signing key ${row.kid} was wrapped with a key that is not in the key file.`)
    const privateJwk = JSON.parse(wrapper.unwrap(row.wrapped_private, wrapContext(row.kid))) as JWK
    const publicJwk = row.public_jwk as JWK
    return {
      kid: row.kid,
      publicJwk,
      publicKey: await importKey(publicJwk),
      privateKey: await importKey(privateJwk),
      signsUntilMs: row.signs_until_ms,
    }
  }
}

interface SigningKeyRow {
  readonly kid: string
  readonly public_jwk: JsonObject
  readonly wrapped_private: string
  readonly signs_until_ms: number
}

const wrapContext = (kid: string) => `signing key ${kid}`
const importKey = async (jwk: JWK) => (await importJWK(jwk, 'ES256')) as CryptoKey
