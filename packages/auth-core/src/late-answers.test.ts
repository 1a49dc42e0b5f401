import { describe, expect, test } from 'vitest'
import type { App } from './app.ts'
import { Credentials } from './credentials.ts'
import { faults } from './testing/scripted-server.ts'
import { ANN, BOB, signedInStage } from './testing/stage.ts'
import type { User } from './user.ts'

type Ask = (user: User) => Promise<unknown>

/** Calls whose answer is written somewhere, and the path that answers them. */
const late: readonly (readonly [string, string, Ask])[] = [
  ['a refresh', 'refresh', (user) => user.getAccessToken({ minValidityMs: 900_000 })],
  ['a profile', 'profile', (user) => user.refreshCustomData()],
  ['a link', 'link', (user) => user.linkCredentials(Credentials.emailPassword('ann@home.example', 'another password'))],
]

const leaves: readonly (readonly [string, (app: App, user: User) => Promise<unknown>])[] = [
  ['a log-out', (app) => app.logOut()],
  ['a removal', (app, user) => app.removeUser(user)],
]

const delays = [
  ['served late', faults.delay(8_000)],
  ['served at once and answered late', faults.slowAnswer(8_000)],
] as const

describe.each(late.flatMap(([what, path, ask]) => delays.map(([how, delayed]) => ({ what, path, ask, how, delayed }))))(
  'S4, S5: $what that is $how',
  ({ path, ask, delayed }) => {
    test.each(leaves)('writes nothing after %s', async (_leave, leave) => {
      const { device, server, app, user, shelf } = await signedInStage()
      await device.pass({ minutes: 8 })
      server.nextAnswer(delayed, path)
      const answered = ask(user).catch((error: unknown) => error)
      await device.pass({ ms: 100 })
      await device.resolve(leave(app, user))
      await device.pass({ ms: 100 })
      const after = JSON.stringify([...shelf.users.values()])

      await device.pass({ seconds: 30 })
      await answered

      expect(JSON.stringify([...shelf.users.values()])).toBe(after)
      expect(after).not.toMatch(/"a\.|v1\./)
      expect(app.authState).toEqual({ kind: 'signed-out' })
    })

    test('after a switch is written to the user who asked, and nobody else', async () => {
      const { device, server, app, user, signIn, annId, bobId } = await signedInStage()
      await device.pass({ minutes: 8 })
      server.nextAnswer(delayed, path)
      const answered = ask(user).catch((error: unknown) => error)
      await device.pass({ ms: 100 })
      const bob = await signIn(app, BOB)
      const bobToken = await device.resolve(bob.getAccessToken())

      await device.pass({ seconds: 30 })
      await answered

      expect(app.currentUser).toBe(bob)
      expect(bob).toMatchObject({ id: bobId, profile: { email: BOB.email }, state: 'logged-in' })
      expect(bob.identities.map(({ id }) => id)).toEqual([BOB.email])
      expect(await device.resolve(bob.getAccessToken())).toBe(bobToken)
      expect(user).toMatchObject({ id: annId, state: 'logged-in' })
    })

    test('after logging in again does not touch the new session', async () => {
      const { device, server, app, user, signIn, shelf } = await signedInStage()
      await device.pass({ minutes: 8 })
      server.nextAnswer(delayed, path)
      const answered = ask(user).catch((error: unknown) => error)
      await device.pass({ ms: 100 })
      await device.resolve(app.logOut())
      await signIn(app, ANN)
      const sessions = () => [...shelf.users.values()].map(({ vault }) => vault.kind === 'open' && vault.contents.session)
      const before = JSON.stringify(sessions())

      await device.pass({ seconds: 30 })
      await answered

      expect(JSON.stringify(sessions())).toBe(before)
      expect(app.authState).toMatchObject({ kind: 'signed-in', access: 'fresh' })
    })
  },
)

test.each(leaves)('S5, S6: the profile of a log-in that comes after %s is not written', async (_, leave) => {
  const { device, server, app, shelf, signIn } = await signedInStage()
  server.nextAnswer(faults.slowAnswer(8_000), 'profile')
  const bob = await signIn(app, BOB)
  await device.resolve(leave(app, bob))
  await device.pass({ ms: 100 })
  const after = JSON.stringify([...shelf.users.values()])

  await device.pass({ seconds: 30 })

  expect(JSON.stringify([...shelf.users.values()])).toBe(after)
})
