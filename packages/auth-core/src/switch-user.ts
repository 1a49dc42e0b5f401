import type { AppContext } from './app-context.ts'
import type { UserKey } from './user-record.ts'

/** Makes a user current and drops the keys of the one before (S8). The switch is stored, so it survives a restart. */
export async function switchTo({ directory, vault }: AppContext, key: UserKey, from: UserKey | undefined): Promise<void> {
  await directory.updateDevice((device) => {
    if (device.currentUser === key) return null
    const epoch = device.epoch + 1
    return { ...device, epoch, switchEpoch: epoch, currentUser: key }
  })
  if (from !== undefined && from !== key) await vault?.lock(from, 'switch')
}
