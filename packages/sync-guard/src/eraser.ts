/**
 * Removes every trace of a database from the device, by a way of its own: RxDB's `remove()` leaves attachments and names behind.
 * `blockedBy`: something still has it open; try again at the next start.
 */
export type Eraser = (databaseName: string) => Promise<Erased>
export type Erased = 'verified' | 'not-verified' | { readonly blockedBy: string }
