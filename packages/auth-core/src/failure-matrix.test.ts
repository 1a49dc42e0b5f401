import { describe, expect, test } from 'vitest'
import type { App } from './app.ts'
import { type Fault, faults } from './testing/scripted-server.ts'
import { ANN, setStage } from './testing/stage.ts'
import type { User } from './user.ts'

const answers: readonly (readonly [string, Fault, 'over' | 'nothing known'])[] = [
  ['network error', faults.networkError, 'nothing known'],
  ['timeout', faults.hang, 'nothing known'],
  ['500', faults.error500, 'nothing known'],
  ['429', faults.throttled, 'nothing known'],
  ['invalid_grant', faults.invalidGrant('revoked'), 'over'],
  ['cut JSON with 200', faults.cutJson, 'nothing known'],
  ['HTML with 403', faults.htmlLoginPage(403), 'nothing known'],
]

const cells = answers.flatMap(([answer, fault, says]) =>
  (['warm', 'cold'] as const).flatMap((start) => (['valid', 'expired'] as const).map((token) => ({ answer, fault, says, start, token }))),
)

type Cell = (typeof cells)[number]

/** Ann signed in, her token valid or expired, in the tab she logged in with or in a new one, and from now on `path` answered with the fault. */
async function stageOf({ fault, start, token }: Cell, path: 'refresh' | 'profile' | 'revoke') {
  const stage = setStage()
  const { device, server, openTab, signIn } = stage
  const first = openTab()
  await signIn(first.app)
  const faulty = () => server.everyAnswer((asked) => (asked === path ? fault : undefined))
  // An expired token of a living tab: the network was away when it was due to be renewed.
  device.setOnline(false)
  await device.pass({ minutes: token === 'expired' ? 20 : 5 })
  if (start === 'cold') first.tab.kill()
  faulty()
  device.setOnline(true)
  const app = start === 'cold' ? openTab().app : first.app
  await device.resolve(app.ready)
  const { currentUser } = app
  if (!currentUser) throw new Error('Ann is current after every start.')
  return { ...stage, app, user: currentUser }
}

function expectAnnSignedIn(app: App, user: User, annId: string): void {
  expect(app.authState).toMatchObject({ kind: 'signed-in' })
  expect(app.currentUser).toBe(user)
  expect(user).toMatchObject({ id: annId, isLoggedIn: true, profile: { email: ANN.email } })
}

const TRY_LATER = { code: expect.stringMatching(/^(offline|server-busy)$/) }

describe.each(cells)('$answer, $start, token $token', (cell) => {
  test('S1, S2: answers a refresh', async () => {
    const { device, server, app, user, annId } = await stageOf(cell, 'refresh')
    // A token in its last half: somebody who insists on more makes it a refresh, whoever takes what there is gets it.
    if (cell.token === 'valid') await device.pass({ minutes: 3 })
    const insisting = device.resolve(user.getAccessToken({ minValidityMs: 900_000 }))

    if (cell.says === 'over') {
      await expect(insisting).rejects.toMatchObject({ code: 'login-required', reason: 'revoked' })
      expect(app.authState).toEqual({ kind: 'login-required', user, reason: 'revoked', canReturn: true })
      expect(user).toMatchObject({ id: annId, profile: { email: ANN.email }, state: 'login-required' })
      return
    }
    await expect(insisting).rejects.toMatchObject(TRY_LATER)
    expectAnnSignedIn(app, user, annId)
    const any = device.resolve(user.getAccessToken({ minValidityMs: 0 }))
    if (cell.token === 'valid') await expect(any).resolves.toMatch(/^a\./)
    else await expect(any).rejects.toMatchObject(TRY_LATER)

    server.everyAnswer(undefined)
    await device.pass({ minutes: 6 })
    await expect(device.resolve(user.getAccessToken())).resolves.toMatch(/^a\./)
    expect(server.liveSessions(annId)).toBe(1)
  })

  test('S1, S2: answers a profile', async () => {
    const { device, server, app, user, annId } = await stageOf(cell, 'profile')

    await expect(device.resolve(user.refreshCustomData())).rejects.toMatchObject({
      code: expect.stringMatching(/^(offline|server-busy|refused|misconfigured)$/),
    })

    expectAnnSignedIn(app, user, annId)
    await expect(device.resolve(user.getAccessToken())).resolves.toMatch(/^a\./)
    expect(server.liveSessions(annId)).toBe(1)
  })

  test('S1, S2, S5: answers the revocation of a log-out', async () => {
    const { device, server, shelf, app, user, annId } = await stageOf(cell, 'revoke')

    const { revocation } = await device.resolve(app.logOut())

    // A server that says the session is over has nothing left to be told.
    expect(revocation).toBe(cell.says === 'over' ? 'done' : 'queued')
    expect(app.authState).toEqual({ kind: 'signed-out' })
    expect(app.currentUser).toBeNull()
    expect(app.allUsers[annId]).toBe(user)
    expect(user).toMatchObject({ state: 'logged-out', profile: { email: ANN.email } })
    expect(JSON.stringify([...shelf.users.values()])).not.toMatch(/"a\.|v1\./)

    server.everyAnswer(undefined)
    await device.pass({ minutes: 6 })
    expect(server.liveSessions(annId)).toBe(cell.says === 'over' ? 1 : 0)
    expect(shelf.device.outbox).toEqual([])
  })
})
