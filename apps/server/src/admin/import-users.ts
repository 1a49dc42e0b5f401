import { createReadStream, readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { z } from 'zod'
import { normaliseEmail } from '../accounts/email-address.ts'
import { addIdentity, insertUser } from '../accounts/identities.ts'
import { isStorableJson } from '../accounts/json-value.ts'
import { type JsonObject, json, type Tx } from '../database/schema.ts'
import { audit } from '../operations/audit.ts'
import { jwtSubject } from '../providers/custom-jwt.ts'
import type { Services } from '../services.ts'

/** What became of one user of the file. `warning`: imported, but not all of it. */
export interface ImportedUser {
  readonly id: string
  readonly outcome: 'imported' | 'exists' | 'refused'
  readonly notes: readonly string[]
}

export interface ImportSummary {
  readonly imported: number
  readonly exists: number
  readonly refused: number
  readonly withNotes: number
  readonly withoutIdentity: number
}

export interface ImportOptions {
  /** JSON lines, or one JSON array: users as App Services' Admin API lists them. */
  readonly file: string
  /** Custom data, as `mongoexport` writes it. */
  readonly customData?: string | undefined
  /** The field of a custom data document that holds the user's id. Default `user_id`. */
  readonly userIdField?: string | undefined
  /** Does everything and takes it back. */
  readonly dryRun: boolean
  /** Which of the configured issuers custom JWT identities belong to. Needed where there are several. */
  readonly jwtIssuer?: string | undefined
}

const id = z.preprocess(plain, z.string().regex(/^[A-Za-z0-9_-]{1,64}$/))
const userShape = z.looseObject({
  _id: id,
  disabled: z.boolean().default(false),
  data: z.record(z.string(), z.unknown()).default({}),
  identities: z.array(z.looseObject({ id: z.preprocess(plain, z.string().min(1).max(400)), provider_type: z.string() })).default([]),
  custom_data: z.record(z.string(), z.unknown()).optional(),
})
type WireUser = z.output<typeof userShape>

const PROFILE = ['name', 'email', 'first_name', 'last_name', 'picture_url', 'gender', 'birthday', 'min_age', 'max_age']
const providers: Readonly<Record<string, string>> = {
  'anon-user': 'anonymous',
  'local-userpass': 'email-password',
  'custom-token': 'jwt',
  'custom-function': 'function',
  'oauth2-facebook': 'facebook',
  'oauth2-google': 'google',
  'oauth2-apple': 'apple',
}

/**
 * Takes over users with their ids, identities and custom data. There are no passwords to take: an outside identity is claimed by its next
 * log-in, an e-mail address by a reset. Users that are here already are left as they are, so a stopped import is simply run again.
 */
export async function importUsers(services: Services, options: ImportOptions, tell: (user: ImportedUser) => void): Promise<ImportSummary> {
  const customData =
    options.customData === undefined
      ? new Map<string, JsonObject>()
      : await readCustomData(options.customData, options.userIdField ?? 'user_id')
  const summary = { imported: 0, exists: 0, refused: 0, withNotes: 0, withoutIdentity: 0 }
  for await (const row of readRows(options.file)) {
    const user = await importUser(services, row, customData, options)
    summary[user.outcome] += 1
    if (user.notes.length > 0) summary.withNotes += 1
    if (user.notes.includes(NO_IDENTITY)) summary.withoutIdentity += 1
    tell(user)
  }
  if (!options.dryRun) await audit(services.db, services.nowMs(), { event: 'users-imported', detail: { ...summary } })
  return summary
}

const NO_IDENTITY = 'nobody can log in as this user: no identity was taken over'

class DryRun extends Error {}

async function importUser(
  services: Services,
  row: unknown,
  customData: ReadonlyMap<string, JsonObject>,
  options: ImportOptions,
): Promise<ImportedUser> {
  const parsed = userShape.safeParse(row)
  if (!parsed.success) {
    const [issue] = parsed.error.issues
    return { id: rawId(row), outcome: 'refused', notes: [`${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'not a user'}`] }
  }
  const user = parsed.data
  let result: ImportedUser | undefined
  try {
    await services.db.transaction().execute(async (tx) => {
      result = await insertImported(tx, services, user, customData.get(user._id) ?? user.custom_data ?? {}, options)
      if (options.dryRun) throw new DryRun()
    })
  } catch (error) {
    if (!(error instanceof DryRun)) throw error
  }
  return result ?? { id: user._id, outcome: 'refused', notes: [] }
}

async function insertImported(
  tx: Tx,
  services: Services,
  user: WireUser,
  customData: JsonObject,
  options: ImportOptions,
): Promise<ImportedUser> {
  const userId = user._id
  const now = services.nowMs()
  const known = await tx.selectFrom('users').select('id').where('id', '=', userId).executeTakeFirst()
  if (known) return { id: userId, outcome: 'exists', notes: [] }
  const notes: string[] = []
  const isKept = isStorableJson(customData, 65_536)
  if (!isKept) notes.push('custom data is too large or cannot be stored, and was left out')
  await insertUser(tx, userId, now)
  await tx
    .updateTable('users')
    .set({
      imported_at_ms: now,
      disabled_at_ms: user.disabled ? now : null,
      custom_data: json<JsonObject>(isKept ? (plainJson(customData) as JsonObject) : {}),
    })
    .where('id', '=', userId)
    .execute()

  const profile = Object.fromEntries(
    Object.entries(user.data).filter(([name, value]) => PROFILE.includes(name) && (typeof value === 'string' || typeof value === 'number')),
  )
  let added = 0
  for (const { provider_type, id: subject } of user.identities) {
    const identity = readIdentity(services, user, provider_type, subject, options.jwtIssuer)
    if ('note' in identity) notes.push(identity.note)
    else {
      const { picture_url: _, ...withoutPicture } = profile
      const told = identity.provider === 'facebook' ? withoutPicture : profile
      const taken = (await addIdentity(tx, userId, { ...identity, profile: told, confirmedAtMs: now }, now)) === undefined
      if (taken) notes.push(`${provider_type}: the identity belongs to another user already`)
      else added += 1
    }
  }
  if (added === 0) notes.push(NO_IDENTITY)
  return { id: userId, outcome: 'imported', notes }
}

function readIdentity(
  { accounts }: Services,
  user: WireUser,
  type: string,
  subject: string,
  jwtIssuer: string | undefined,
): { readonly provider: string; readonly subject: string } | { readonly note: string } {
  const provider = providers[type]
  if (provider === undefined) return { note: `${type}: identities of this kind are not taken over` }
  if (provider === 'anonymous') return { provider, subject: user._id }
  if (provider === 'email-password') {
    const { email } = user.data
    return typeof email === 'string' && email.includes('@')
      ? { provider, subject: normaliseEmail(email) }
      : { note: `${type}: the user has no e-mail address` }
  }
  if (provider !== 'jwt') return { provider, subject }
  const issuers = accounts.config.providers.jwt ? accounts.config.providers.jwt.issuers : []
  const wanted = issuers.filter(({ name, issuer }) => jwtIssuer === undefined || jwtIssuer === (name ?? issuer))
  const [issuer] = wanted
  return issuer && wanted.length === 1
    ? { provider, subject: jwtSubject(issuer, subject) }
    : { note: `${type}: configure its issuer first, and name it if there are several` }
}

async function readCustomData(file: string, field: string): Promise<ReadonlyMap<string, JsonObject>> {
  const byUser = new Map<string, JsonObject>()
  for await (const row of readRows(file)) {
    if (typeof row !== 'object' || row === null) continue
    const { _id: _, ...document } = row as JsonObject
    const userId = plain(document[field])
    if (typeof userId === 'string') byUser.set(userId, document)
  }
  return byUser
}

async function* readRows(file: string): AsyncGenerator<unknown> {
  if (await startsWithBracket(file)) {
    yield* z.array(z.unknown()).parse(JSON.parse(readFileSync(file, 'utf8')))
    return
  }
  for await (const line of createInterface({ input: createReadStream(file, 'utf8'), crlfDelay: Number.POSITIVE_INFINITY })) {
    if (line.trim() === '') continue
    try {
      yield JSON.parse(line)
    } catch {
      yield line
    }
  }
}

async function startsWithBracket(file: string): Promise<boolean> {
  for await (const chunk of createReadStream(file, { encoding: 'utf8', end: 1024 })) return String(chunk).trimStart().startsWith('[')
  return false
}

/** MongoDB's extended JSON, as far as one value goes. */
function plain(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  const { $oid, $numberInt, $numberLong, $numberDouble, $date } = value as Readonly<Record<string, unknown>>
  if ($oid !== undefined) return $oid
  const number = $numberInt ?? $numberLong ?? $numberDouble
  if (number !== undefined) return Number(number)
  if ($date === undefined) return value
  const inner = plain($date)
  return typeof inner === 'number' ? new Date(inner).toISOString() : inner
}

const plainJson = (value: unknown): unknown => JSON.parse(JSON.stringify(value), (_name, inner: unknown) => plain(inner))

function rawId(row: unknown): string {
  const found = typeof row === 'object' && row !== null && '_id' in row ? plain(row._id) : undefined
  return typeof found === 'string' ? found.slice(0, 64) : '(no id)'
}
