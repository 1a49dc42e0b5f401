import { createCipheriv, createDecipheriv, createHash, createHmac, hkdfSync, randomBytes, timingSafeEqual } from 'node:crypto'
import { closeSync, existsSync, fsyncSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs'
import { z } from 'zod'
import type { Database } from '../database/schema.ts'

/**
 * The secrets that are kept outside the database, so that a copy of the database alone can neither make a refresh token nor sign.
 * The last key of the file is used for new MACs; older ones stay for checking.
 */
export class ServerKeys {
  readonly current: ServerKey
  readonly #byKid: ReadonlyMap<string, ServerKey>

  constructor(keys: readonly ServerKey[]) {
    const current = keys.at(-1)
    if (!current) throw new KeyFileProblem('The key file holds no key.')
    this.current = current
    this.#byKid = new Map(keys.map((key) => [key.kid, key]))
  }

  find(kid: string): ServerKey | undefined {
    return this.#byKid.get(kid)
  }

  all(): readonly ServerKey[] {
    return [...this.#byKid.values()]
  }
}

export class ServerKey {
  readonly kid: string
  readonly fingerprint: string
  readonly #macKey: Buffer
  readonly #wrapKey: Buffer

  constructor(kid: string, secret: Uint8Array) {
    const derive = (purpose: string) => Buffer.from(hkdfSync('sha256', secret, '', `nightlatch ${purpose}`, 32))
    this.kid = kid
    this.fingerprint = createHash('sha256').update(derive('fingerprint')).digest('base64url')
    this.#macKey = derive('tokens')
    this.#wrapKey = derive('wrapping')
  }

  /** HMAC-SHA-256, base64url. */
  mac(message: string): string {
    return createHmac('sha256', this.#macKey).update(message).digest('base64url')
  }

  matches(message: string, mac: string): boolean {
    const expected = Buffer.from(this.mac(message))
    const given = Buffer.from(mac)
    return expected.length === given.length && timingSafeEqual(expected, given)
  }

  /** AES-256-GCM under this key; `context` must be the same at `unwrap`. */
  wrap(plain: string, context: string): string {
    const iv = randomBytes(12)
    const cipher = createCipheriv('aes-256-gcm', this.#wrapKey, iv).setAAD(Buffer.from(context))
    const sealed = Buffer.concat([cipher.update(plain, 'utf8'), cipher.final(), cipher.getAuthTag()])
    return [this.kid, iv.toString('base64url'), sealed.toString('base64url')].join('.')
  }

  unwrap(wrapped: string, context: string): string {
    const [, iv = '', sealed = ''] = wrapped.split('.')
    const bytes = Buffer.from(sealed, 'base64url')
    const decipher = createDecipheriv('aes-256-gcm', this.#wrapKey, Buffer.from(iv, 'base64url'))
    decipher.setAAD(Buffer.from(context)).setAuthTag(bytes.subarray(-16))
    return decipher.update(bytes.subarray(0, -16), undefined, 'utf8') + decipher.final('utf8')
  }
}

export class KeyFileProblem extends Error {
  override readonly name = 'KeyFileProblem'
}

const keyFile = z.object({
  version: z.literal(1),
  keys: z.array(z.object({ kid: z.string().regex(/^[a-z0-9]{1,16}$/), secret: z.base64url().length(43) })).min(1),
})

/**
 * Reads the key file and checks it against the fingerprints in the database; makes one for a database that has never had any.
 *
 * @throws {KeyFileProblem} when the file is missing, unreadable or not the one this database was used with. Starting anyway
 * would refuse every refresh token there is.
 */
export async function loadServerKeys(path: string, db: Database): Promise<ServerKeys> {
  const known = await db.selectFrom('server_keys').selectAll().execute()
  if (!existsSync(path)) {
    if (known.length > 0)
      throw new KeyFileProblem(`The key file ${path} is missing. Restore it: without it every session would be refused.`)
    createKeyFile(path)
  }
  const keys = readKeyFile(path)
  await db
    .insertInto('server_keys')
    .values(keys.all().map(({ kid, fingerprint }) => ({ kid, fingerprint })))
    .onConflict((conflict) => conflict.doNothing())
    .execute()
  // Read again: another instance may have been the first, with a key file of its own.
  for (const { kid, fingerprint } of await db.selectFrom('server_keys').selectAll().execute()) {
    if (keys.find(kid)?.fingerprint !== fingerprint) {
      throw new KeyFileProblem(`The key file ${path} lacks key "${kid}" of this database, or holds another one by that name.`)
    }
  }
  return keys
}

function readKeyFile(path: string): ServerKeys {
  try {
    const { keys } = keyFile.parse(JSON.parse(readFileSync(path, 'utf8')))
    return new ServerKeys(keys.map(({ kid, secret }) => new ServerKey(kid, Buffer.from(secret, 'base64url'))))
  } catch {
    throw new KeyFileProblem(`The key file ${path} cannot be read as one. Restore it from a backup.`) // no cause: it could quote the secret
  }
}

/** Appears whole or not at all, and is on the disk before the first token is made with it. */
function createKeyFile(path: string): void {
  const contents = { version: 1, keys: [{ kid: 'k1', secret: randomBytes(32).toString('base64url') }] }
  const draft = `${path}.${process.pid}`
  const file = openSync(draft, 'wx', 0o600)
  try {
    writeSync(file, JSON.stringify(contents, null, 2))
    fsyncSync(file)
  } finally {
    closeSync(file)
  }
  renameSync(draft, path)
}
