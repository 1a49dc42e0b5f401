import type { AppContext } from './app-context.ts'
import type { UserKey } from './user-record.ts'

/** Makes a user current. The switch is stored, so it survives a restart (S8). */
export async function switchTo({ directory }: AppContext, key: UserKey): Promise<void> {
  await directory.updateDevice((device) => {
    if (device.currentUser === key) return null
    const epoch = device.epoch + 1
    return { ...device, epoch, switchEpoch: epoch, currentUser: key }
  })
}
