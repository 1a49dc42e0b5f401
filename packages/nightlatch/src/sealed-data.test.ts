import 'fake-indexeddb/auto'
import { realWorld, type World } from '@nightlatch/auth-core/world'
import { startTestServer } from '@nightlatch/server/testing'
import { expect, test } from 'vitest'
import { Credentials, openApp } from './index.ts'

/** A world in which the server's unlock keys cannot be had, so that nothing but the person's own secrets opens the device's keys. */
function worldWithoutUnlockKeys(): World {
  const world = realWorld()
  return {
    ...world,
    fetch: (input, init) => {
      const { pathname } = new URL(input instanceof Request ? input.url : input)
      return pathname.endsWith('/unlock-key') ? Promise.reject(new TypeError('No network.')) : world.fetch(input, init)
    },
  }
}

test('data-sealed: after a password change elsewhere the app tells what is sealed, and the former password gives it back', async () => {
  await using server = await disposableServer()
  const open = (id: string) =>
    openApp({
      id,
      server: server.url,
      collections: {},
      world: worldWithoutUnlockKeys(),
      kdf: { name: 'argon2id', memoryKiB: 19_456, passes: 2 },
    })
  const [here, elsewhere] = [await open('here'), await open('elsewhere')]
  const [email, former, next] = ['ann@example.org', 'correct horse battery', 'a whole new battery']
  await here.emailPasswordAuth.registerUser({ email, password: former })
  await here.logIn(Credentials.emailPassword(email, former))
  await here.logOut()
  const there = await elsewhere.logIn(Credentials.emailPassword(email, former))
  await there.changePassword({ current: former, next })
  const events: string[] = []
  here.events$.subscribe(({ type }) => events.push(type))

  const user = await here.logIn(Credentials.emailPassword(email, next))
  expect(events).toContain('data-sealed')
  expect(user.sealedData).toEqual({ pending: 'unknown' })
  await expect(here.rescueData(user, 'not it either')).rejects.toMatchObject({
    code: 'unlock-failed',
    reason: 'wrong-secret',
    attemptsLeft: 9,
  })
  await here.rescueData(user, former)

  expect(events).toContain('data-rescued')
  expect(user.sealedData).toBeUndefined()
  expect(user.profile.email).toBe(email)
  await expect(here.rescueData(user, former)).rejects.toMatchObject({ code: 'invalid-argument' })
  for (const app of [here, elsewhere]) await app.close()
})

async function disposableServer() {
  const server = await startTestServer({ config: { collections: {} } })
  return { url: server.url, [Symbol.asyncDispose]: () => server.close() }
}
