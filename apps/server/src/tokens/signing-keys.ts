import { randomBytes } from 'node:crypto'
import { type CryptoKey, exportJWK, generateKeyPair, importJWK, type JWK } from 'jose'
import { type Database, type JsonObject, json } from '../database/schema.ts'
import type { ServerKeys } from './server-keys.ts'

/** A key that signs access tokens (ES256). */
export interface SigningKey {
  readonly kid: string
  readonly publicJwk: JWK
  readonly publicKey: CryptoKey
  readonly privateKey: CryptoKey
}

const DAY_MS = 86_400_000
const SIGNS_FOR_MS = 90 * DAY_MS

/** Loads the signing keys, making one if none may sign any more. The newest is first. */
export async function loadSigningKeys(db: Database, keys: ServerKeys, nowMs: number): Promise<readonly SigningKey[]> {
  const rows = await db.selectFrom('signing_keys').selectAll().orderBy('created_at_ms', 'desc').execute()
  const loaded = await Promise.all(rows.map((row) => openSigningKey(row, keys)))
  if (rows.some((row) => row.signs_until_ms > nowMs)) return loaded
  return [await createSigningKey(db, keys, nowMs), ...loaded]
}

async function createSigningKey(db: Database, keys: ServerKeys, nowMs: number): Promise<SigningKey> {
  const kid = randomBytes(9).toString('base64url')
  const pair = await generateKeyPair('ES256', { extractable: true })
  const publicJwk = { ...(await exportJWK(pair.publicKey)), kid, alg: 'ES256', use: 'sig' }
  const privateJwk = JSON.stringify(await exportJWK(pair.privateKey))
  await db
    .insertInto('signing_keys')
    .values({
      kid,
      public_jwk: json<JsonObject>({ ...publicJwk }),
      wrapped_private: keys.current.wrap(privateJwk, wrapContext(kid)),
      created_at_ms: nowMs,
      signs_until_ms: nowMs + SIGNS_FOR_MS,
    })
    .execute()
  return { kid, publicJwk, publicKey: pair.publicKey, privateKey: pair.privateKey }
}

async function openSigningKey(
  row: { kid: string; public_jwk: JsonObject; wrapped_private: string },
  keys: ServerKeys,
): Promise<SigningKey> {
  const wrapper = keys.find(row.wrapped_private.split('.')[0] ?? '')
  if (!wrapper) throw new Error(`Signing key ${row.kid} was wrapped with a key that is not in the key file.`)
  const privateJwk = JSON.parse(wrapper.unwrap(row.wrapped_private, wrapContext(row.kid))) as JWK
  const publicJwk = row.public_jwk as JWK
  return { kid: row.kid, publicJwk, publicKey: await importKey(publicJwk), privateKey: await importKey(privateJwk) }
}

const wrapContext = (kid: string) => `signing key ${kid}`
const importKey = async (jwk: JWK) => (await importJWK(jwk, 'ES256')) as CryptoKey
