import { useEffect, useState } from 'react'
import type { FieldbookSyncState } from './session.ts'

/**
 * When everything was last in sync, by the device's clock; remembered over restarts, as nothing else tells it while offline.
 * Under the user's key, not the id: what lies in localStorage lies there in clear.
 */
export function useLastSyncAtMs(userKey: string, sync: FieldbookSyncState): number | undefined {
  const [remembered, setRemembered] = useState(() => readLastSync(userKey))
  const syncedAtMs = sync.kind === 'synced' ? sync.atMs : undefined
  useEffect(() => {
    if (syncedAtMs === undefined) return
    setRemembered(syncedAtMs)
    localStorage.setItem(keyOf(userKey), String(syncedAtMs))
  }, [userKey, syncedAtMs])
  return syncedAtMs ?? remembered
}

function readLastSync(userKey: string): number | undefined {
  const stored = Number(localStorage.getItem(keyOf(userKey)))
  return stored > 0 ? stored : undefined
}

const keyOf = (userKey: string) => `fieldbook.last-sync.${userKey}`
