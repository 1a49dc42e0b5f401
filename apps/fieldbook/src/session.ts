/** Everything the fieldbook knows of Nightlatch: how the app is opened, and hooks that read its states. */
import type { AuthErrorCode } from 'nightlatch'
import { AuthError, Credentials, openApp } from 'nightlatch'
import { createContext, useCallback, useContext, useEffect, useState, useSyncExternalStore } from 'react'
import type { Observable } from 'rxjs'
import { announce } from './announcements.ts'
import { observationSchema, stationRecordSchema } from './schemas.ts'
import { overReasonText } from './status-text.ts'

/** Opens the app on its own origin, where the satellite link to the server is. No network is needed. */
export function openFieldbook() {
  return openApp({
    id: 'fieldbook',
    server: location.origin,
    collections: {
      observations: { schema: observationSchema, sync: true },
      stationRecords: { schema: stationRecordSchema, sync: { read: ['public'], write: false } },
    },
    onLoginRequired: ({ reason }) => announce(`Log in again to go on syncing: ${overReasonText(reason)}`),
  })
}

export type Fieldbook = Awaited<ReturnType<typeof openFieldbook>>
export type FieldbookAuthState = Fieldbook['authState']
export type FieldbookSyncState = Fieldbook['syncState']
export type FieldbookUser = NonNullable<Fieldbook['currentUser']>
export type FieldbookDatabase = Awaited<ReturnType<Fieldbook['openDatabase']>>
export type LeaveResult = Awaited<ReturnType<Fieldbook['logOut']>>
export type { AuthErrorCode }
export { AuthError, Credentials }

const FieldbookContext = createContext<Fieldbook | null>(null)
export const FieldbookProvider = FieldbookContext.Provider

export function useFieldbook(): Fieldbook {
  const fieldbook = useContext(FieldbookContext)
  if (!fieldbook) throw new Error('useFieldbook is called outside of FieldbookProvider.')
  return fieldbook
}

export function useAuthState(): FieldbookAuthState {
  const fieldbook = useFieldbook()
  return useLatest(fieldbook.authState$, () => fieldbook.authState)
}

export function useSyncState(): FieldbookSyncState {
  const fieldbook = useFieldbook()
  return useLatest(fieldbook.syncState$, () => fieldbook.syncState)
}

/** The newest value of a state. React asks for it again and again and wants the same object until it changes, so the last one is kept. */
function useLatest<State>(state$: Observable<State>, now: () => State): State {
  const [latest] = useState(() => ({ value: now() }))
  return useSyncExternalStore(
    useCallback(
      (changed) => {
        const subscription = state$.subscribe((value) => {
          latest.value = value
          changed()
        })
        return () => subscription.unsubscribe()
      },
      [latest, state$],
    ),
    () => latest.value,
  )
}

/** The database of the user with this id, `null` until it is open. */
export function useUserDatabase(userId: string): FieldbookDatabase | null {
  const fieldbook = useFieldbook()
  const [opened, setOpened] = useState<{ readonly userId: string; readonly database: FieldbookDatabase } | null>(null)
  useEffect(() => {
    let wanted = true
    fieldbook.openDatabase().then(
      (database) => wanted && setOpened({ userId, database }),
      (error: unknown) =>
        announce(`The data on this device cannot be opened: ${error instanceof Error ? error.message : 'unknown reason'}`),
    )
    return () => {
      wanted = false
    }
  }, [fieldbook, userId])
  return opened?.userId === userId ? opened.database : null
}

/** A guest's data cannot be opened again once the guest has logged out. */
export function isGuest(user: FieldbookUser): boolean {
  return user.identities.every((identity) => identity.provider === 'anonymous')
}

export function nameOf(user: FieldbookUser): string {
  if (isGuest(user)) return 'Guest'
  return user.profile.email ?? user.profile.name ?? 'Signed in'
}
