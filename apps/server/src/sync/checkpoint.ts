import { z } from 'zod'
import { ApiError, invalidRequest } from '../http/api-error.ts'
import { parseJson } from '../http/read-body.ts'

/** How far a client has read: one counter per scope, by the names the client uses, all of one life of the database. */
export const checkpointShape = z.object({
  incarnation: z.string().max(64),
  scopes: z.record(z.string().max(128), z.int().min(0)),
})

export type Checkpoint = z.output<typeof checkpointShape>

export function parseCheckpoint(text: string | null): Checkpoint | undefined {
  if (text === null || text === '' || text === 'null') return undefined
  const parsed = checkpointShape.safeParse(parseJson(text))
  if (!parsed.success) throw invalidRequest('The checkpoint is not one of this server.')
  return parsed.data
}

/**
 * Refuses a checkpoint that the client cannot go on from.
 *
 * @throws {ApiError} 410 `server_restored` when the database may lack what the client has; 410 `resync_required` when tombstones that the
 * client has not seen are gone
 */
export function checkPosition(seq: number, head: { readonly seq: number; readonly purgedSeq: number }, sameIncarnation: boolean): void {
  if (!sameIncarnation || seq > head.seq) {
    throw new ApiError(410, 'server_restored', 'The server was restored from a backup. Pull everything again.')
  }
  if (seq < head.purgedSeq && seq > 0) {
    throw new ApiError(410, 'resync_required', 'Deletions that this client has not seen are no longer kept. Pull everything again.')
  }
}
