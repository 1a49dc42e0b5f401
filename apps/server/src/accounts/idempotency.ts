import { createHash } from 'node:crypto'
import type { Database, Tx } from '../database/schema.ts'
import { ApiError, invalidRequest } from '../http/api-error.ts'
import { answer } from '../http/route.ts'
import type { Services } from '../services.ts'
import { type GrantedSession, tokenAnswer } from '../tokens/sessions.ts'

/** How long a repetition gets the first answer again. */
export const IDEMPOTENCY_KEPT_MS = 86_400_000

/** What one execution leads to. */
export interface Done {
  readonly status: number
  readonly body: object
  /** The session it opened: its tokens join the body. They are made after the commit, at every repetition anew, and never kept. */
  readonly session?: GrantedSession
  /** Sessions it ended: streams are cut after the commit. */
  readonly ended?: readonly string[]
  /** Only after the commit, and only if this execution was the one that counted. */
  readonly afterwards?: () => void
}

export interface Repeatable {
  readonly request: Request
  readonly body: unknown
  /** Whose key it is: the user's id, or the route while nobody is known. */
  readonly caller: string
}

/**
 * Does something once per `Idempotency-Key` and answers every repetition with the first answer. Key, effect and answer are committed together.
 * Refusals are not kept: whoever repeats a refused request may have better luck.
 *
 * @param prepare what takes long, outside of the transaction; it is not run for a repetition
 * @throws {ApiError} `idempotency_key_reused` if the key came with another request before
 */
export async function once<Prepared>(
  services: Services,
  repeatable: Repeatable,
  prepare: () => Promise<Prepared>,
  commit: (tx: Tx, prepared: Prepared) => Promise<Done>,
): Promise<Response> {
  const { db, nowMs } = services
  const key = readKey(repeatable)
  const earlier = key && (await storedAnswer(db, services, key))
  if (earlier) return respond(services, earlier)
  const prepared = await prepare()
  const result = await db.transaction().execute(async (tx) => {
    if (key && !(await claim(tx, key, nowMs()))) return storedAnswer(tx, services, key)
    const done = await commit(tx, prepared)
    if (key) await keepAnswer(tx, services, key, done)
    return done
  })
  if (!result) throw new ApiError(409, 'in_progress', 'The first request with this idempotency key is still going on.')
  return finish(services, result)
}

/**
 * For work that is more than one transaction. The key is claimed first; a repetition while the work goes on, or after a crash in its middle,
 * is told that nobody knows (`in_progress`).
 */
export async function onceInPieces(services: Services, repeatable: Repeatable, work: () => Promise<Done>): Promise<Response> {
  const { db, nowMs } = services
  const key = readKey(repeatable)
  if (!key) return finish(services, await work())
  const earlier = await storedAnswer(db, services, key)
  if (earlier) return respond(services, earlier)
  if (!(await claim(db, key, nowMs())))
    throw new ApiError(409, 'in_progress', 'The first request with this idempotency key is still going on, or was cut off.')
  let done: Done
  try {
    done = await work()
  } catch (error) {
    await db.deleteFrom('idempotency_keys').where('caller', '=', key.caller).where('key_digest', '=', key.keyDigest).execute()
    throw error
  }
  await keepAnswer(db, services, key, done)
  return finish(services, done)
}

export async function forgetIdempotencyKeys(db: Database, nowMs: number): Promise<void> {
  await db
    .deleteFrom('idempotency_keys')
    .where('created_at_ms', '<', nowMs - IDEMPOTENCY_KEPT_MS)
    .execute()
}

function finish(services: Services, done: Done): Promise<Response> {
  if (done.ended?.length) services.bus.sessionsEnded(done.ended)
  done.afterwards?.()
  return respond(services, done)
}

async function respond(services: Services, { status, body, session }: Done): Promise<Response> {
  return answer(status, session ? { ...(await tokenAnswer(services, session)), ...body } : body)
}

interface Key {
  readonly caller: string
  readonly keyDigest: string
  readonly requestDigest: string
}

function readKey({ request, body, caller }: Repeatable): Key | undefined {
  const key = request.headers.get('idempotency-key')
  if (key === null) return undefined
  if (!/^[\x21-\x7e]{8,255}$/.test(key)) throw invalidRequest('"Idempotency-Key" must be 8 to 255 visible characters.')
  const { pathname } = new URL(request.url)
  return { caller, keyDigest: digest(key), requestDigest: digest(`${key}\n${request.method} ${pathname}\n${JSON.stringify(body ?? null)}`) }
}

async function claim(db: Database | Tx, { caller, keyDigest, requestDigest }: Key, nowMs: number): Promise<boolean> {
  const claimed = await db
    .insertInto('idempotency_keys')
    .values({ caller, key_digest: keyDigest, request_digest: requestDigest, answer: null, created_at_ms: nowMs })
    .onConflict((conflict) => conflict.doNothing())
    .returning('caller')
    .executeTakeFirst()
  return claimed !== undefined
}

/** Answers may hold secrets, such as a new API key, so they are kept wrapped (SV-3). */
async function keepAnswer(
  db: Database | Tx,
  { keys }: Services,
  { caller, keyDigest }: Key,
  { status, body, session }: Done,
): Promise<void> {
  const wrapped = keys.current.wrap(JSON.stringify({ status, body, session }), contextOf(keyDigest))
  await db
    .updateTable('idempotency_keys')
    .set({ answer: wrapped })
    .where('caller', '=', caller)
    .where('key_digest', '=', keyDigest)
    .execute()
}

async function storedAnswer(db: Database | Tx, { keys }: Services, { caller, keyDigest, requestDigest }: Key): Promise<Done | undefined> {
  const row = await db
    .selectFrom('idempotency_keys')
    .select(['request_digest', 'answer'])
    .where('caller', '=', caller)
    .where('key_digest', '=', keyDigest)
    .executeTakeFirst()
  if (!row) return undefined
  if (row.request_digest !== requestDigest)
    throw new ApiError(422, 'idempotency_key_reused', 'This idempotency key was used for another request. Draw a new one.')
  if (row.answer === null) return undefined
  const [kid = ''] = row.answer.split('.')
  return JSON.parse(keys.find(kid)?.unwrap(row.answer, contextOf(keyDigest)) ?? '{}') as Done
}

const contextOf = (keyDigest: string) => `idempotent answer ${keyDigest}`
const digest = (text: string) => createHash('sha256').update(text).digest('base64url')
