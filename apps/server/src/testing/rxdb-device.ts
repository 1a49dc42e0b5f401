import { createRxDatabase, type RxCollection, type RxDatabase, type RxReplicationWriteToMasterRow } from 'rxdb/plugins/core'
import { type RxReplicationState, replicateRxCollection } from 'rxdb/plugins/replication'
import { getRxStorageMemory } from 'rxdb/plugins/storage-memory'
import { Subject } from 'rxjs'
import type { Checkpoint } from '../sync/checkpoint.ts'

export interface Note {
  readonly id: string
  readonly text: string
}

export interface RxdbDevice {
  readonly notes: RxCollection<Note>
  /** Sync until there is nothing left to send or fetch. */
  settle(): Promise<void>
  close(): Promise<void>
}

/**
 * A device as an app would have it: an RxDB collection that replicates with the server by the wire alone. `send` may fail before or after the
 * server has acted, as networks do.
 */
export async function openDevice(
  name: string,
  token: string,
  send: (path: string, init?: RequestInit) => Promise<Response>,
): Promise<RxdbDevice> {
  const database: RxDatabase = await createRxDatabase({ name, storage: getRxStorageMemory(), multiInstance: false })
  const { notes } = await database.addCollections({
    notes: {
      schema: {
        version: 0,
        primaryKey: 'id',
        type: 'object',
        properties: { id: { type: 'string', maxLength: 64 }, text: { type: 'string' } },
        required: ['id', 'text'],
      },
    },
  })
  const headers = { Authorization: `Bearer ${token}` }
  const call = async (path: string, init?: RequestInit): Promise<unknown> => {
    const response = await send(path, { ...init, headers })
    if (!response.ok) throw new Error(`${path} answered ${response.status}.`)
    return response.json()
  }
  const stream = new Subject<'RESYNC'>()
  const replication: RxReplicationState<Note, Checkpoint> = replicateRxCollection<Note, Checkpoint>({
    collection: notes as RxCollection<Note>,
    replicationIdentifier: name,
    live: true,
    retryTime: 20,
    waitForLeadership: false,
    pull: {
      batchSize: 7,
      stream$: stream.asObservable(),
      handler: async (checkpoint, limit) => {
        const position = checkpoint ? `&checkpoint=${encodeURIComponent(JSON.stringify(checkpoint))}` : ''
        return (await call(`/v1/sync/notes/0/pull?limit=${limit}${position}`)) as never
      },
    },
    push: {
      batchSize: 5,
      handler: async (rows: RxReplicationWriteToMasterRow<Note>[]) => {
        const answer = await call('/v1/sync/notes/0/push', { method: 'POST', body: JSON.stringify(rows) })
        return (answer as { conflicts: never[] }).conflicts
      },
    },
  })
  return {
    notes: notes as RxCollection<Note>,
    async settle() {
      stream.next('RESYNC')
      await replication.awaitInSync()
    },
    async close() {
      await replication.cancel()
      await database.close()
    },
  }
}
