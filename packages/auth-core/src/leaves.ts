import type { AppEvent, RemoveOptions } from './app.ts'
import { type AppContext, waitFor } from './app-context.ts'
import type { AppView } from './app-view.ts'
import type { LockedUser } from './auth-state.ts'
import { given } from './given.ts'
import {
  askParticipants,
  awaitRevocation,
  commitLeave,
  type LeaveParticipant,
  type LogOutResult,
  leaveOf,
  wipeDatabases,
} from './log-out.ts'
import type { Leave, LeaveReason, LeaveReport, UserData } from './ports.ts'
import type { RevocationOutbox } from './revocation-outbox.ts'
import type { User } from './user.ts'

export const NOTHING_LEFT: Required<LeaveReport> = { uploaded: 0, kept: 0, discarded: 0, unknownOutcome: 0, silentTabs: 0 }

const EVENT_OF = { 'log-out': 'logged-out', remove: 'removed', delete: 'deleted' } as const satisfies Record<string, AppEvent['type']>

export type FinalLeave = keyof typeof EVENT_OF

/** How users leave: those who take part are asked first, then what is stored is changed for good, then the server hears of it. */
export class Leaves {
  readonly participants = new Set<LeaveParticipant>()
  readonly #context: AppContext
  readonly #view: AppView
  readonly #outbox: RevocationOutbox
  readonly #userData: UserData | undefined

  constructor(context: AppContext, view: AppView, outbox: RevocationOutbox, userData: UserData | undefined) {
    this.#context = context
    this.#view = view
    this.#outbox = outbox
    this.#userData = userData
  }

  async leave(user: User | LockedUser, reason: FinalLeave, options: RemoveOptions): Promise<LogOutResult> {
    return this.commit(user, reason, await this.ask(user, reason, options))
  }

  /** Only the current user has anything open that somebody could have to finish. @throws {AuthError} `pending-writes` */
  async ask(
    user: User | LockedUser,
    reason: LeaveReason,
    options: RemoveOptions = {},
    kind: Pick<Leave, 'rehearsal'> = {},
  ): Promise<Required<LeaveReport>> {
    const { currentUser } = this.#view
    if (user.key !== currentUser?.key) return NOTHING_LEFT
    const leave = { ...leaveOf(currentUser, reason, this.#context, options), ...kind }
    return waitFor(askParticipants(this.#context, this.participants, leave), options.signal)
  }

  async commit(user: User | LockedUser, reason: FinalLeave, report: Required<LeaveReport>): Promise<LogOutResult> {
    const incarnation = this.#context.directory.records.get(user.key)?.incarnation
    await commitLeave(this.#context, user.key, reason === 'log-out' ? 'logged-out' : 'removed')
    this.#view.show()
    this.#view.tell(EVENT_OF[reason], user.key)
    const erased =
      reason === 'log-out' || incarnation === undefined ? undefined : await wipeDatabases(this.#context, this.#userData, [incarnation])
    return { ...report, revocation: await awaitRevocation(this.#context, () => this.#outbox.deliver()), ...given('erased', erased) }
  }

  /** Databases of users who were removed in an earlier run. */
  async finishWipes(): Promise<void> {
    const wipes = this.#context.directory.device?.wipes.map(({ incarnation }) => incarnation) ?? []
    if (this.#userData && wipes.length > 0) await wipeDatabases(this.#context, this.#userData, wipes)
  }
}
