import { RevisionConflict, StoreUnavailable, type UnavailableReason } from '@nightlatch/auth-core'

/** Why a store cannot be opened. What is stored stays as it is in every case. */
export function openFailure(error: unknown): StoreUnavailable {
  if (error instanceof StoreUnavailable) return error
  const reason = reasonOf(error) ?? 'storage-damaged'
  return new StoreUnavailable(reason, sentences[reason], { cause: error })
}

/** Why a read or write failed: `StoreUnavailable` for trouble of the storage, everything else as it was thrown. */
export function storeFailure(error: unknown): unknown {
  if (error instanceof StoreUnavailable || error instanceof RevisionConflict) return error
  const reason = reasonOf(error)
  return reason ? new StoreUnavailable(reason, sentences[reason], { cause: error }) : error
}

/** Names of errors by which IndexedDB and Dexie say that a connection is gone, not that the data is. */
const lostConnection = new Set(['DatabaseClosedError', 'InvalidStateError', 'AbortError', 'TransactionInactiveError', 'UnknownError'])

/** Whether opening the database again may help (another tab's upgrade, Safari's lost IndexedDB server). */
export function isLostConnection(error: unknown): boolean {
  return namesOf(error).some((name) => lostConnection.has(name))
}

function reasonOf(error: unknown): UnavailableReason | undefined {
  const names = namesOf(error)
  if (names.some((name) => newer.has(name))) return 'newer-version'
  if (names.some((name) => blocked.has(name)) || isLostConnection(error)) return 'storage-blocked'
  return names.includes('RxError') ? 'storage-damaged' : undefined
}

/** Dexie's name for a database of a later version; RxDB's codes for a later RxDB and for another schema. */
const newer = new Set(['VersionError', 'DM5', 'DB6'])
const blocked = new Set(['SecurityError', 'MissingAPIError', 'QuotaExceededError', 'OpenFailedError', 'NotAllowedError'])

/** The names and RxDB codes of an error and of what it wraps: Dexie hides the browser's error in `inner`. */
function namesOf(error: unknown, depth = 0): readonly string[] {
  if (typeof error !== 'object' || error === null || depth > 4) return []
  const name = 'name' in error && typeof error.name === 'string' ? [error.name] : []
  const code = 'code' in error && typeof error.code === 'string' ? [error.code] : []
  const inner = 'inner' in error ? namesOf(error.inner, depth + 1) : []
  const cause = 'cause' in error ? namesOf(error.cause, depth + 1) : []
  return [...name, ...code, ...inner, ...cause]
}

const sentences: Readonly<Record<UnavailableReason, string>> = {
  'storage-blocked':
    'The browser does not give access to IndexedDB now (private mode, blocked site data, or a full disk). Nothing was removed.',
  'storage-damaged': 'The stored users could not be opened. Nothing was removed.',
  evicted: 'A part of what was stored is gone: the browser or somebody deleted it. What is left was not touched.',
  'newer-version': 'The stored users were written by a newer version of this app. Reload to get that version.',
  'insecure-context': 'WebCrypto is missing: serve the app over https or from localhost.',
  'unsupported-environment':
    'Users cannot be kept here: pass a `storage` (outside browsers there is no default), and do not use service workers.',
}

export function unavailable(reason: UnavailableReason): StoreUnavailable {
  return new StoreUnavailable(reason, sentences[reason])
}
