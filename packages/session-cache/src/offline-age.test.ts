import { type App, type AuthBackend, BackendFailure, Credentials, createApp, type Grant } from '@nightlatch/auth-core'
import { afterEach, expect, test } from 'vitest'
import { nativeArgon2 } from './node-only/native-argon2.ts'
import { cacheDevice } from './testing/cache-device.ts'

const DAY_MS = 86_400_000

const open: App[] = []
afterEach(async () => {
  for (const app of open.splice(0)) await app.close()
})

/** A device on which Ann has logged in, and the server behind it, which can be out of reach. */
async function deviceOfAnn() {
  const server = { reachable: true, refreshes: 0 }
  const grant = (): Grant => {
    if (!server.reachable) throw new BackendFailure({ kind: 'later', why: 'unreachable' }, 'No answer.')
    return { userId: 'u-ann', accessToken: `access-${server.refreshes}`, accessLifeMs: 900_000, refreshToken: 'refresh', identities: [] }
  }
  const backend: AuthBackend = {
    issuer: 'https://api.example.org',
    traits: { rotation: 'rotating', reuseEndsAllSessions: false },
    logIn: async () => grant(),
    refresh: async () => {
      server.refreshes += 1
      return grant()
    },
  }
  const device = cacheDevice({ deriveKey: nativeArgon2 })
  const start = async (): Promise<App> => {
    const store = await device.openTab()
    const app = createApp({ id: 'fieldbook', backend, store, vault: store.vault, world: device.context.world })
    open.push(app)
    await app.ready
    return app
  }
  const app = await start()
  await app.logIn(Credentials.emailPassword('ann@example.org', 'correct horse battery staple'))
  return {
    app,
    server,
    pass: device.pass,
    async restart(): Promise<App> {
      for (const running of open.splice(0)) await running.close()
      return start()
    },
  }
}

test('C4: who is online every day by refreshes alone is never locked, however long ago the log-in was', async () => {
  const { server, restart, pass } = await deviceOfAnn()

  for (const days of [...Array<number>(10).fill(1), 6, 6, 6, 6, 6]) {
    pass(days * DAY_MS)
    const { currentUser, authState } = await restart()
    expect(authState.kind).toBe('signed-in')
    await currentUser?.getAccessToken()
  }

  expect(server.refreshes).toBe(15)
})

test('C4: a refresh in the background of a tab that stays open starts the age over', async () => {
  const { app, restart, pass } = await deviceOfAnn()
  for (let day = 0; day < 10; day += 1) {
    pass(DAY_MS)
    await app.currentUser?.getAccessToken()
  }

  pass(6 * DAY_MS)

  expect((await restart()).authState.kind).toBe('signed-in')
})

test('C4: who only opens the app, while the server is out of reach, is locked by age', async () => {
  const { server, restart, pass } = await deviceOfAnn()
  server.reachable = false

  pass(6 * DAY_MS)
  const { currentUser, authState } = await restart()
  expect(authState.kind).toBe('signed-in')
  await expect(currentUser?.getAccessToken()).rejects.toMatchObject({ code: 'offline' })
  pass(2 * DAY_MS)

  expect((await restart()).authState).toMatchObject({ kind: 'locked', why: 'age' })
})
