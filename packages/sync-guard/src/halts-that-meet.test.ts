import { expect, test } from 'vitest'
import { eventually, FakeSession, pause, synced, testApp } from '../test/guarded-app.ts'

async function busyApp() {
  const app = await testApp()
  await app.until(synced)
  app.server.fault = ({ action }) => (action === 'push' ? new Promise(() => {}) : undefined)
  await app.db.notes.insert({ id: 'a', text: 'x' })
  await eventually(() => app.server.requests.some(({ action }) => action === 'push'))
  return app
}

test('G3: an end that meets a suspend waits for it, counts, and leaves', { timeout: 10_000 }, async () => {
  const { guard, db } = await busyApp()
  const suspending = guard.suspend()
  await eventually(() => guard.state.kind === 'halting')
  expect(await guard.end()).toMatchObject({ kept: 1 })
  expect(await suspending).toMatchObject({ unknownOutcome: 1 })
  expect(guard.state).toMatchObject({ kind: 'halted', by: 'leave' })
  expect(db.closed).toBe(true)
})

test('G3: an end that meets the halt of a log-out elsewhere closes once, and the next log-in has the write', {
  timeout: 10_000,
}, async () => {
  const { guard, session$, session, open, db, server, until } = await busyApp()
  const ending = guard.end()
  session$.next(null)
  await ending
  await eventually(() => db.closed)
  server.fault = () => undefined
  session$.next(new FakeSession('ada', 'token-1', { databaseName: session.databaseName ?? '' }))
  await open()
  await until(synced)
  expect(server.document('notes', 'a')).toBeDefined()
})

test.for([0, 30])('G7: a resume %i ms after a suspend has begun ends in running sync', { timeout: 10_000 }, async (afterMs) => {
  const { guard, server, until } = await busyApp()
  const suspending = guard.suspend()
  if (afterMs > 0) await pause(afterMs)
  server.fault = () => undefined
  await Promise.all([suspending, guard.resume()])
  await until(synced)
  expect(server.document('notes', 'a')).toBeDefined()
})

test('with the database already closed by the app everything still resolves', { timeout: 20_000 }, async () => {
  const { guard, db, until, session$, session, open } = await testApp()
  await until(synced)
  await db.close()
  const startedAtMs = performance.now()
  await guard.suspend()
  await guard.resume()
  await pause(20)
  await guard.wipe('another')
  expect(await guard.end()).toMatchObject({ discarded: 0, unknownOutcome: 0 })
  expect(performance.now() - startedAtMs).toBeLessThan(3_000)
  expect(await guard.wipe(db.name)).toBe('not-verified')
  session$.next(null)
  session$.next(new FakeSession('ada', 'token-1', { databaseName: session.databaseName ?? '' }))
  await open()
  await until(synced)
})
