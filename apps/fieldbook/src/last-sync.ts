import { useEffect, useState } from 'react'
import type { FieldbookSyncState } from './session.ts'

/** When everything was last in sync, by the device's clock; remembered over restarts, as nothing else tells it while offline. */
export function useLastSyncAtMs(userId: string, sync: FieldbookSyncState): number | undefined {
  const [remembered, setRemembered] = useState(() => readLastSync(userId))
  const syncedAtMs = sync.kind === 'synced' ? sync.atMs : undefined
  useEffect(() => {
    if (syncedAtMs === undefined) return
    setRemembered(syncedAtMs)
    localStorage.setItem(keyOf(userId), String(syncedAtMs))
  }, [userId, syncedAtMs])
  return syncedAtMs ?? remembered
}

function readLastSync(userId: string): number | undefined {
  const stored = Number(localStorage.getItem(keyOf(userId)))
  return stored > 0 ? stored : undefined
}

const keyOf = (userId: string) => `fieldbook.last-sync.${userId}`
