import { type AppContext, askBackend } from './app-context.ts'
import { authErrorOf } from './auth-failure.ts'
import { AuthError } from './errors.ts'
import { BackendFailure, type OverReason } from './outcome.ts'
import type { UserRecordDraft } from './ports.ts'
import { randomId } from './random-id.ts'
import { holdWhileAlive, isTabGone } from './refresh-lock.ts'
import { isFit, type Session, sessionAfter } from './session.ts'
import { type RefreshIntent, type UserKey, type UserRecord, withoutIntent } from './user-record.ts'

/** How often the server may answer `superseded` before this device stops believing that the newer token will still turn up here. */
const PATIENCE_WITH_SUPERSEDED = 3

export interface RefreshRequest {
  readonly key: UserKey
  /** Renew unless the stored token has this much life left. */
  readonly minValidityMs?: number
  /** A token that a server has just refused: it counts as unfit. */
  readonly rejected?: string | undefined
}

/**
 * Renews a user's session once, whoever asks and in however many tabs (S3): lock, look again, write the intent, ask, compare and set.
 * Resolves with a session fit by the time it was stored; nothing is written if the user left meanwhile (S4, S5).
 *
 * @throws {AuthError} `login-required` when the token endpoint ended the session, `offline` or `server-busy` when nothing is known
 */
export async function refreshSession(context: AppContext, request: RefreshRequest): Promise<Session> {
  return holdWhileAlive(context, `session:${request.key}`, async () => {
    const { directory, serverClock } = context
    const record = await directory.reread(request.key)
    const session = sessionOf(record)
    if (session.accessToken !== request.rejected && isFit(session, serverClock.nowMs(), request.minValidityMs)) return session

    const standing = record?.refreshIntent?.generation === record?.generation ? record?.refreshIntent : undefined
    const intended = await writeIntent(context, request.key)
    if (standing && context.backend.traits.reuseEndsAllSessions && (await isTabGone(context, standing.ownerLock, standing.writtenAtMs))) {
      return endSession(context, intended, 'unknown')
    }
    return askAndStore(context, intended, standing !== undefined)
  })
}

/** The session of a record that can be used. @throws {AuthError} why it cannot */
export function sessionOf(record: UserRecord | null): Session {
  if (!record) throw new AuthError('user-not-found', 'The user was removed from this device. Log in again.')
  if (record.status.kind === 'over') throw loginRequired(record.status.reason)
  if (record.status.kind === 'unverified') {
    throw new AuthError('offline', 'The server has not accepted this log-in yet: there is no token. What is on the device can be used.')
  }
  if (record.status.kind === 'logged-out') throw new AuthError('not-logged-in', 'The user is logged out. Log in again.')
  switch (record.vault.kind) {
    case 'sealed':
      throw new AuthError('locked', 'The user is locked. Unlock it first.')
    case 'damaged':
    case 'newer':
      throw new AuthError('storage-unavailable', 'What is stored of this user cannot be read. Log in again.', { reason: record.vault.kind })
    case 'open':
      if (!record.vault.contents.session) throw new AuthError('not-logged-in', 'The user has no session on this device. Log in again.')
      return record.vault.contents.session
  }
}

export function loginRequired(reason: OverReason, cause?: unknown): AuthError {
  return new AuthError('login-required', `The session is over (${reason}). The data stays on this device; log in again.`, { reason, cause })
}

/** Says durably that a refresh is about to be sent. An intent that is already there is adopted, so that a repetition is known as one. */
async function writeIntent({ directory, world, tabLock }: AppContext, key: UserKey): Promise<UserRecord> {
  const intended = await directory.updateUser(key, (record) => {
    sessionOf(record)
    const standing = record.refreshIntent?.generation === record.generation ? record.refreshIntent : undefined
    const attemptId = standing?.attemptId ?? randomId(world.random)
    const superseded = standing?.superseded
    const intent: RefreshIntent = { attemptId, generation: record.generation, ownerLock: tabLock, writtenAtMs: world.clock.nowMs() }
    return { ...record, refreshIntent: superseded === undefined ? intent : { ...intent, superseded } }
  })
  if (!intended) throw new AuthError('user-not-found', 'The user was removed from this device. Log in again.')
  return intended
}

async function askAndStore(context: AppContext, intended: UserRecord, repeated: boolean): Promise<Session> {
  const { backend, directory, serverClock } = context
  const attemptId = intended.refreshIntent?.attemptId ?? randomId(context.world.random)
  const session = sessionOf(intended)
  try {
    const grant = await askBackend(context, (ask) => backend.refresh(session, { ...ask, attemptId }))
    if (grant.serverOffsetMs !== undefined) serverClock.learn(grant.serverOffsetMs)
    const renewed = sessionAfter(grant, serverClock.nowMs(), session)
    const saved = await directory.updateUser(intended.key, (now) =>
      isSameMoment(now, intended) ? withSession(now, renewed, grant.serverOffsetMs) : null,
    )
    return saved ? renewed : sessionOf(await directory.reread(intended.key))
  } catch (failure) {
    return afterFailure(context, intended, repeated, failure)
  }
}

async function afterFailure(context: AppContext, intended: UserRecord, repeated: boolean, failure: unknown): Promise<Session> {
  if (!(failure instanceof BackendFailure)) throw failure
  const { outcome } = failure
  if (outcome.kind !== 'over' && outcome.kind !== 'superseded') throw authErrorOf(failure, 'renew the session')

  const now = await context.directory.reread(intended.key)
  if (!now || !isSameMoment(now, intended)) return sessionOf(now) // another tab was first, or the user left
  if (outcome.kind === 'superseded') {
    await countSuperseded(context, intended)
    throw authErrorOf(failure, 'renew the session')
  }
  // The first answer to this attempt was lost: the server's "reuse" may be about ourselves.
  const reason = repeated && outcome.reason === 'reuse' ? 'unknown' : outcome.reason
  return endSession(context, intended, reason, failure)
}

/** Records that the session is over, unless something newer is stored, and says so. */
async function endSession(context: AppContext, refused: UserRecord, reason: OverReason, cause?: unknown): Promise<never> {
  const ended = await context.directory.updateUser(refused.key, (now) =>
    isSameMoment(now, refused) ? { ...withoutIntent(now), status: { kind: 'over', reason } } : null,
  )
  if (ended) throw loginRequired(reason, cause)
  throw new AuthError('conflict', 'Another tab renewed or left the session at the same moment. Try again.')
}

/** After several answers in a row that a newer token exists, and none in storage, the next try is a new attempt that the server can judge. */
async function countSuperseded({ directory }: AppContext, intended: UserRecord): Promise<void> {
  await directory.updateUser(intended.key, (now) => {
    if (!isSameMoment(now, intended) || !now.refreshIntent) return null
    const superseded = (now.refreshIntent.superseded ?? 0) + 1
    return superseded >= PATIENCE_WITH_SUPERSEDED ? withoutIntent(now) : { ...now, refreshIntent: { ...now.refreshIntent, superseded } }
  })
}

function isSameMoment(a: UserRecord, b: UserRecord): boolean {
  return a.epoch === b.epoch && a.generation === b.generation && a.status.kind === 'signed-in'
}

function withSession(record: UserRecord, session: Session, serverOffsetMs: number | undefined): UserRecordDraft | null {
  if (record.vault.kind !== 'open') return null
  const contents = { ...record.vault.contents, session, ...(serverOffsetMs === undefined ? {} : { serverOffsetMs }) }
  const { revokeHandle = record.revokeHandle } = session
  return {
    ...withoutIntent(record),
    generation: record.generation + 1,
    vault: { kind: 'open', contents },
    ...(revokeHandle && { revokeHandle }),
  }
}
