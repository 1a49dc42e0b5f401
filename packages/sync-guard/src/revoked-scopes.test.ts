import type { RxDatabase } from 'rxdb/plugins/core'
import { expect, onTestFinished, test } from 'vitest'
import { foreignDatabase } from '../test/guarded-app.ts'
import { GuardStore } from './guard-store.ts'
import { type AnyCollection, ReplicationMeta } from './replication-meta.ts'
import { RevokedScopes } from './revoked-scopes.ts'

test('a tab that leads after another one knows which scopes were closed meanwhile, and pulls them from their beginning', async () => {
  const database = (await foreignDatabase()) as unknown as RxDatabase
  const collection = database.collections.notes as unknown as AnyCollection
  const [store, meta] = [await GuardStore.open(database), await ReplicationMeta.open(collection, 'notes')]
  onTestFinished(async () => {
    await meta.close()
    await store.close()
    await database.close()
  })
  const tab = () =>
    RevokedScopes.load({
      collection,
      replicationIdentifier: 'notes',
      scopes: {
        read: ['mine', 'team'],
        write: ['mine'],
        of: () => 'mine',
        without: (checkpoint, scopes) => ({ ...(checkpoint as object), ...Object.fromEntries(scopes.map((scope) => [scope, undefined])) }),
      },
      pushes: true,
      writable: undefined,
      keepsDocuments: false,
      store,
      meta,
      tell: () => {},
      changed: () => {},
    })
  const [first, second] = [await tab(), await tab()]
  await first.revoke(['team'])

  await second.begin()

  expect(second.names).toEqual(['team'])
  expect(second.restart({ mine: 3, team: 5 })).toEqual({ mine: 3, team: undefined })
  expect(second.toAsk('pull').ask).toEqual(['mine', 'team'])
})
