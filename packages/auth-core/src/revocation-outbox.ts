import { type AppContext, askBackend } from './app-context.ts'
import { BackendFailure } from './outcome.ts'
import { randomId } from './random-id.ts'
import { retryDelayMs } from './retry-delay.ts'
import type { PendingRevocation } from './user-record.ts'
import type { Undo } from './world/index.ts'

/**
 * Tells the server of sessions that ended on this device, at least once each (S5). What is queued is in the device record, so it survives
 * restarts and the user's removal; a handle can do nothing but end its own session, so a second delivery is harmless.
 */
export class RevocationOutbox {
  readonly #context: AppContext
  #failures = 0
  #delivering: Promise<void> | undefined
  #stopTimer: Undo = () => {}
  readonly #stopWatching: Undo
  #stopped = false

  constructor(context: AppContext) {
    this.#context = context
    this.#stopWatching = context.world.connectivity.watch((online) => {
      if (online) void this.deliver()
    })
  }

  /** Ends a session that nobody will use. Best effort: storage trouble here must not hide what led here. */
  async queue(revokeHandle: string | undefined): Promise<void> {
    if (revokeHandle === undefined) return
    await queueRevocation(this.#context, revokeHandle).catch(() => {})
    void this.deliver()
  }

  /** Tries everything that is queued once; never rejects. */
  deliver(): Promise<void> {
    this.#delivering ??= this.#deliverAll().finally(() => {
      this.#delivering = undefined
    })
    return this.#delivering
  }

  stop(): void {
    this.#stopped = true
    this.#stopTimer()
    this.#stopWatching()
  }

  async #deliverAll(): Promise<void> {
    this.#stopTimer()
    const { backend, world, directory } = this.#context
    if (!backend.revoke) return
    try {
      const { outbox } = await directory.rereadDevice()
      for (const entry of outbox) await this.#deliverOne(entry)
      this.#failures = 0
    } catch {
      if (this.#stopped) return
      this.#failures += 1
      this.#stopTimer = world.timers.start(retryDelayMs(this.#failures, world.random), () => void this.deliver(), { background: true })
    }
  }

  async #deliverOne({ id, revokeHandle }: PendingRevocation): Promise<void> {
    const { backend, directory } = this.#context
    try {
      await askBackend(this.#context, async (ask) => backend.revoke?.(revokeHandle, ask))
    } catch (failure) {
      // A handle that the server does not accept will not be accepted later either; everything else is tried again.
      if (!(failure instanceof BackendFailure) || failure.outcome.kind !== 'refused') throw failure
    }
    await directory.updateDevice((device) => ({ ...device, outbox: device.outbox.filter((entry) => entry.id !== id) }))
  }
}

/** Sees to it that the session's end is told, now or after a restart. */
export async function queueRevocation(context: AppContext, revokeHandle: string): Promise<void> {
  await context.directory.updateDevice((device) => {
    const outbox = withRevocation(device.outbox, revokeHandle, context)
    return outbox === device.outbox ? null : { ...device, outbox }
  })
}

/** The outbox with one more handle, unless it is in there. */
export function withRevocation(
  outbox: readonly PendingRevocation[],
  revokeHandle: string,
  { world }: Pick<AppContext, 'world'>,
): readonly PendingRevocation[] {
  if (outbox.some((queued) => queued.revokeHandle === revokeHandle)) return outbox
  return [...outbox, { id: randomId(world.random), revokeHandle, queuedAtMs: world.clock.nowMs() }]
}
