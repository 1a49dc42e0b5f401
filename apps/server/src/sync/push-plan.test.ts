import { expect, test } from 'vitest'
import { type CollectionHooks, schemaCheck } from './collections.ts'
import { type PushRow, planPush as planReadRows, readRows } from './push-plan.ts'

const stored = new Map([['a', { deleted: false, data: { id: 'a', n: 1, tags: ['x', { y: null }] } }]])
const notes = { primaryKey: 'id', hooks: {} as CollectionHooks, schemaProblem: schemaCheck(undefined) }

function planPush(rows: readonly PushRow[], current: typeof stored, collection = notes) {
  const { read, rejected } = readRows(rows, 'id')
  const plan = planReadRows(read, current, { collection, scope: 'mine', userId: 'ada' })
  return { ...plan, rejected: [...rejected, ...plan.rejected] }
}

const asStored = { id: 'a', n: 1, tags: ['x', { y: null }], _deleted: false }

test('writes what is new and what was edited knowingly', () => {
  const plan = planPush(
    [
      { newDocumentState: { id: 'b', n: 2, _deleted: false } },
      { newDocumentState: { ...asStored, n: 5 }, assumedMasterState: { ...asStored, _rev: '1-x', _meta: { lwt: 1 } } },
    ],
    stored,
  )

  expect(plan.writes).toEqual([
    { id: 'b', deleted: false, data: { id: 'b', n: 2 } },
    { id: 'a', deleted: false, data: { id: 'a', n: 5, tags: ['x', { y: null }] } },
  ])
  expect(plan.conflicts).toEqual([])
})

test('accepts a repeated push without writing again', () => {
  expect(planPush([{ newDocumentState: asStored }], stored)).toEqual({ writes: [], conflicts: [], rejected: [] })
})

test.each([
  ['an insert over a document', undefined],
  ['an edit of an older state', { ...asStored, n: 0 }],
  ['an edit of a state that was deleted meanwhile', { ...asStored, _deleted: true }],
])('answers %s with the stored state', (_what, assumedMasterState) => {
  const plan = planPush([{ newDocumentState: { ...asStored, n: 9 }, assumedMasterState }], stored)

  expect(plan.writes).toEqual([])
  expect(plan.conflicts).toEqual([asStored])
})

test('takes a document whose assumed state is no longer kept', () => {
  const plan = planPush([{ newDocumentState: { id: 'gone', n: 1 }, assumedMasterState: { id: 'gone', n: 0 } }], stored)

  expect(plan.writes).toHaveLength(1)
})

test('lets later rows of one document see the earlier ones', () => {
  const plan = planPush(
    [
      { newDocumentState: { id: 'b', n: 1 } },
      { newDocumentState: { id: 'b', n: 2 }, assumedMasterState: { id: 'b', n: 1 } },
      { newDocumentState: { id: 'b', n: 3 } },
    ],
    stored,
  )

  expect(plan.writes.map(({ data }) => data.n)).toEqual([1, 2])
  expect(plan.conflicts).toEqual([{ id: 'b', n: 2, _deleted: false }])
})

test.each([
  ['no id', { n: 1 }, 'invalid_id'],
  ['an empty id', { id: '' }, 'invalid_id'],
  ['a NUL in the id', { id: 'a\0' }, 'invalid_id'],
  ['a NUL inside', { id: 'c', deep: [{ text: 'a\0' }] }, 'unstorable_text'],
  ['half a surrogate pair', { id: 'c', text: '\ud800' }, 'unstorable_text'],
  ['an unstorable field name', { id: 'c', '\0': 1 }, 'unstorable_text'],
  ['too many levels', { id: 'c', deep: JSON.parse(`${'['.repeat(100)}${']'.repeat(100)}`) as unknown }, 'too_deep'],
])('rejects %s and takes the other rows', (_what, bad, code) => {
  const plan = planPush([{ newDocumentState: bad }, { newDocumentState: { id: 'ok' } }], stored)

  expect(plan.rejected).toMatchObject([{ code }])
  expect(plan.writes.map(({ id }) => id)).toEqual(['ok'])
})

test('rejects rows that do not fit the schema, naming the place and not the value', () => {
  const schemaProblem = schemaCheck({
    version: 0,
    primaryKey: 'id',
    type: 'object',
    properties: { id: { type: 'string', maxLength: 10 }, n: { type: 'number', minimum: 0 } },
    required: ['id', 'n'],
    additionalProperties: false,
  })
  const rows = [{ id: 'b', n: -77 }, { id: 'c' }, { id: 'd', n: 1, x: 1 }, { id: 'e', n: 1 }, { id: 'f', _deleted: true }]

  const plan = planPush(
    rows.map((newDocumentState) => ({ newDocumentState })),
    stored,
    { ...notes, schemaProblem },
  )

  expect(plan.writes.map(({ id }) => id)).toEqual(['e', 'f'])
  expect(plan.rejected.map(({ id, code }) => `${id} ${code}`)).toEqual(['b schema_mismatch', 'c schema_mismatch', 'd schema_mismatch'])
  expect(JSON.stringify(plan.rejected)).not.toContain('77')
})

test('asks the app about every write, with what is stored', () => {
  const asked: unknown[] = []
  const hooks: CollectionHooks = {
    validateWrite: (write) => {
      asked.push(write)
      return write.document.n === 13 ? { code: 'unlucky', error: 'No thirteen.' } : undefined
    },
  }

  const plan = planPush(
    [{ newDocumentState: { ...asStored, n: 13 }, assumedMasterState: asStored }, { newDocumentState: { id: 'b', n: 1 } }],
    stored,
    {
      ...notes,
      hooks,
    },
  )

  expect(plan.rejected).toEqual([{ id: 'a', code: 'unlucky', error: 'No thirteen.' }])
  expect(asked[0]).toMatchObject({ previous: { document: { n: 1 }, deleted: false }, scope: 'mine', userId: 'ada' })
})

test('neither overwrites nor shows a document that the user may not read', () => {
  const hooks: CollectionHooks = { mayRead: ({ document }) => document.n !== 1 }

  const plan = planPush([{ newDocumentState: { ...asStored, n: 2 } }], stored, { ...notes, hooks })

  expect(plan).toMatchObject({ writes: [], conflicts: [], rejected: [{ id: 'a', code: 'not_permitted' }] })
})
