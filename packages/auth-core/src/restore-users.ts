import type { AppContext } from './app-context.ts'
import { finishLeaves } from './log-out.ts'
import { isTabGone } from './refresh-lock.ts'
import type { UserKey, UserRecord } from './user-record.ts'

/** Another tab's log-in is between its two writes for a moment only; without locks between tabs this long a wait tells it from a crash. */
const SETTLE_MS = 5_000

/** Reads what is stored, without any request. */
export async function restoreUsers({ directory, serverClock }: AppContext): Promise<void> {
  await directory.load()
  const current = directory.device?.currentUser
  const record = current ? directory.records.get(current) : undefined
  if (record?.vault.kind === 'open' && record.vault.contents.serverOffsetMs !== undefined)
    serverClock.learn(record.vault.contents.serverOffsetMs)
}

/** Finishes what a crash left half done: log-outs that were decided, and log-ins that were never committed. */
export async function sweepAfterCrash(context: AppContext): Promise<void> {
  await finishLeaves(context)
  await endUnverified(context)
  const orphans = [...context.directory.records.values()].filter((record) => isUncommitted(context, record))
  if (orphans.length === 0) return
  await settled(context)
  await context.directory.rereadDevice()
  for (const { key } of orphans) await takeBack(context, key)
}

/** Somebody got in without the server, and the tab that would have asked it later is gone with the credentials. */
async function endUnverified(context: AppContext): Promise<void> {
  const { directory } = context
  for (const { key, status } of directory.records.values()) {
    if (status.kind !== 'unverified' || !(await isTabGone(context, status.ownerLock, Number.NEGATIVE_INFINITY))) continue
    await directory.updateUser(key, (now) =>
      now.status.kind === 'unverified' ? { ...now, status: { kind: 'over', reason: 'unverified' } } : null,
    )
  }
}

/** A log-in stamps the record before the device: an epoch that the device never reached was not committed. */
function isUncommitted({ directory }: AppContext, record: UserRecord): boolean {
  return record.status.kind === 'signed-in' && record.epoch > (directory.device?.epoch ?? 0)
}

async function settled({ world, lockName }: AppContext): Promise<void> {
  if (world.locks.acrossTabs) {
    await world.locks.hold(lockName('log-in'), async () => {})
    return
  }
  await new Promise<void>((resolve) => world.timers.start(SETTLE_MS, resolve, { background: true }))
}

async function takeBack(context: AppContext, key: UserKey): Promise<void> {
  const { directory } = context
  const record = await directory.reread(key)
  if (!record || !isUncommitted(context, record)) return
  const epoch = record.epoch + 1
  await directory.updateDevice((device) => ({
    ...device,
    epoch: Math.max(device.epoch, epoch),
    leaves: [...(device.leaves ?? []), { key, epoch, to: 'logged-out' }],
  }))
  await finishLeaves(context)
}
