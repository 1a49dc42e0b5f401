import { type AppContext, askBackend, notSupported } from './app-context.ts'
import { authErrorOf } from './auth-failure.ts'
import { AuthError } from './errors.ts'
import { given } from './given.ts'
import type { Leave, LeaveReason, LeaveReport, Unsynced, UserData } from './ports.ts'
import { queueRevocation } from './revocation-outbox.ts'
import type { User } from './user.ts'
import { type PendingLeave, type UserKey, type UserRecord, withoutIntent } from './user-record.ts'

export interface LogOutOptions {
  /** Default: the current user. */
  readonly user?: User
  /**
   * Writes that were not uploaded: `upload` tries until `timeoutMs` and keeps the rest, `keep` leaves them for the user's next log-in,
   * `discard` gives them up. Default `keep`.
   */
  readonly unsynced?: Unsynced
  /** Which of the user's sessions end: on this device, on all others, or everywhere. Default `this`. */
  readonly sessions?: 'this' | 'others' | 'all'
  /** How long uploading and halting may take, milliseconds. Default 10_000. */
  readonly timeoutMs?: number
  readonly signal?: AbortSignal
}

export interface LogOutResult extends Required<LeaveReport> {
  /** `queued`: the server did not hear of it yet and will be told at the next contact, also after a restart. */
  readonly revocation: 'done' | 'queued' | 'unsupported'
  /** After a removal: whether the user's databases are gone. A blocked one is wiped at the next start. */
  readonly erased?: Erased
}

export type Erased = Awaited<ReturnType<UserData['wipe']>>

export type LeaveParticipant = (leave: Leave) => Promise<LeaveReport | undefined>

export const DEFAULT_LEAVE_MS = 10_000
/** Grace beyond the deadline before a participant that does not answer is left behind (S14). */
const PARTICIPANT_GRACE_MS = 5_000
/** How long a log-out waits to be able to say that the revocation was delivered. */
const REVOCATION_PATIENCE_MS = 3_000

/**
 * Asks everybody who takes part in a leave (sync above all) to finish, while the session still works.
 *
 * @throws {AuthError} `pending-writes`: somebody refused; nothing has changed
 */
export async function askParticipants(
  { world }: AppContext,
  participants: Iterable<LeaveParticipant>,
  leave: Leave,
): Promise<Required<LeaveReport>> {
  const { promise: deadline, resolve } = Promise.withResolvers<undefined>()
  const graceMs = Math.max(0, leave.deadlineAtMs - world.clock.nowMs()) + PARTICIPANT_GRACE_MS
  const stop = world.timers.start(graceMs, () => resolve(undefined))
  try {
    const reports = await Promise.all([...participants].map((participant) => Promise.race([reportOf(participant, leave), deadline])))
    return addUp(reports)
  } finally {
    stop()
  }
}

/** A participant that fails without refusing does not keep a person signed in. */
async function reportOf(participant: LeaveParticipant, leave: Leave): Promise<LeaveReport | undefined> {
  try {
    return await participant(leave)
  } catch (error) {
    const refusal = asRefusal(error)
    if (refusal) throw refusal
    return {}
  }
}

function asRefusal(error: unknown): AuthError | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined
  if (error.code === 'aborted')
    return new AuthError('aborted', 'The call was aborted by its signal; nothing has changed.', { cause: error })
  if (error.code !== 'pending-writes') return undefined
  const pending = 'pending' in error && typeof error.pending === 'number' ? error.pending : undefined
  const count = pending === undefined ? 'Some' : String(pending)
  return new AuthError(
    'pending-writes',
    `${count} writes of this user are not uploaded and could not be opened again. Upload them first, or pass \`unsynced: 'discard'\`.`,
    { cause: error, ...given('pending', pending) },
  )
}

function addUp(reports: readonly (LeaveReport | undefined)[]): Required<LeaveReport> {
  const total = { uploaded: 0, kept: 0, discarded: 0, unknownOutcome: 0, silentTabs: 0 }
  for (const report of reports) {
    for (const name of Object.keys(total) as (keyof typeof total)[]) total[name] += report?.[name] ?? 0
  }
  return total
}

export function leaveOf(
  user: { readonly key: UserKey; readonly id: string },
  reason: LeaveReason,
  { world }: AppContext,
  { unsynced, timeoutMs = DEFAULT_LEAVE_MS, signal }: Pick<LogOutOptions, 'unsynced' | 'timeoutMs' | 'signal'> = {},
): Leave {
  const deadlineAtMs = world.clock.nowMs() + timeoutMs
  return { userKey: user.key, userId: user.id, reason, unsynced, deadlineAtMs, ...(signal ? { signal } : {}) }
}

/**
 * Makes the leave final: the decision in the device record first, then what follows from it for the user's own record.
 * A crash between the two is finished at the next start. Answers to older requests find another epoch and write nothing (S4, S5).
 */
export async function commitLeave(context: AppContext, key: UserKey, to: PendingLeave['to']): Promise<void> {
  const { directory, world } = context
  const record = await directory.reread(key)
  if (!record) return
  await directory.updateDevice((device) => {
    const epoch = Math.max(device.epoch, record.epoch) + 1
    return {
      ...device,
      epoch,
      currentUser: device.currentUser === key ? null : device.currentUser,
      wipes: to === 'removed' ? [...device.wipes, { incarnation: record.incarnation, requestedAtMs: world.clock.nowMs() }] : device.wipes,
      leaves: [...(device.leaves ?? []).filter((leave) => leave.key !== key), { key, epoch, to }],
    }
  })
  await finishLeaves(context)
}

/** Carries out what the device record has decided; also what an earlier run did not get to. */
export async function finishLeaves(context: AppContext): Promise<void> {
  const { directory } = context
  const { leaves = [] } = await directory.rereadDevice()
  if (leaves.length === 0) return
  for (const leave of leaves) await carryOut(context, leave)
  await directory.updateDevice((device) => {
    const { leaves: standing = [], ...rest } = device
    const left = standing.filter((leave) => !leaves.some((done) => done.key === leave.key && done.epoch === leave.epoch))
    return left.length === 0 ? rest : { ...rest, leaves: left }
  })
}

/** Queues the revocation of the very session that the record gives up, even if it is another one than at the decision. */
async function carryOut(context: AppContext, { key, epoch, to }: PendingLeave): Promise<void> {
  const { directory, vault } = context
  for (;;) {
    const record = await directory.reread(key)
    if (!record || record.epoch >= epoch) return // gone, or logged in again since
    const { revokeHandle } = record
    if (revokeHandle !== undefined) await queueRevocation(context, revokeHandle)
    const isSame = (now: UserRecord) => now.epoch < epoch && now.revokeHandle === revokeHandle
    if (to === 'logged-out') {
      await directory.updateUser(key, (now) => (isSame(now) ? loggedOut(now, epoch) : null))
    } else {
      await vault?.destroy(key)
      await directory.removeUser(key, isSame)
    }
  }
}

function loggedOut(record: UserRecord, epoch: number): UserRecord {
  const { revokeHandle: _, ...rest } = withoutIntent(record)
  const next: UserRecord = { ...rest, epoch, generation: 0, status: { kind: 'logged-out' } }
  if (record.vault.kind !== 'open') return next
  const { session: __, ...contents } = record.vault.contents
  return { ...next, vault: { kind: 'open', contents } }
}

/** Ends the user's sessions on other devices, which needs a token: before this one is given up. @throws {AuthError} */
export async function revokeOtherSessions(context: AppContext, accessToken: () => Promise<string>, signal?: AbortSignal): Promise<void> {
  const { sessions } = context.backend
  if (!sessions) throw notSupported('end sessions on other devices')
  const token = await accessToken()
  try {
    await askBackend(context, (ask) => sessions.revokeOthers({ ...ask, accessToken: token }), signal)
  } catch (failure) {
    throw authErrorOf(failure, "end the user's other sessions")
  }
}

/** Whether the revocations that stand in the outbox now were delivered within a moment; they stay queued otherwise. */
export async function awaitRevocation(
  { backend, world, directory }: AppContext,
  deliver: () => Promise<void>,
): Promise<LogOutResult['revocation']> {
  if (!backend.revoke) return 'unsupported'
  if (!world.connectivity.online) {
    void deliver()
    return (directory.device?.outbox.length ?? 0) === 0 ? 'done' : 'queued'
  }
  const { promise: patience, resolve } = Promise.withResolvers<void>()
  const stop = world.timers.start(REVOCATION_PATIENCE_MS, resolve)
  await Promise.race([deliver(), patience])
  stop()
  return directory.device?.outbox.length === 0 ? 'done' : 'queued'
}

/** Wipes the databases of removed users, as far as that can be done now; what is blocked stays on the list. */
export async function wipeDatabases({ directory }: AppContext, userData: UserData | undefined, now: readonly string[]): Promise<Erased> {
  const results = await Promise.all(now.map(async (incarnation) => ({ incarnation, erased: await wipe(userData, incarnation) })))
  const done = new Set(results.flatMap(({ incarnation, erased }) => (typeof erased === 'string' ? [incarnation] : [])))
  if (done.size > 0) {
    await directory.updateDevice((device) => ({ ...device, wipes: device.wipes.filter(({ incarnation }) => !done.has(incarnation)) }))
  }
  const erased = results.map((result) => result.erased)
  return erased.find((result) => typeof result !== 'string') ?? erased.find((result) => result === 'not-verified') ?? 'verified'
}

async function wipe(userData: UserData | undefined, incarnation: string): Promise<Erased> {
  if (!userData) return 'not-verified'
  try {
    return await userData.wipe(incarnation)
  } catch (error) {
    return { blockedBy: error instanceof Error ? error.name : 'unknown' }
  }
}
