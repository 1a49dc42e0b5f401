import { describe, expect, test } from 'vitest'
import type { App } from './app.ts'
import { Credentials } from './credentials.ts'
import { AuthError } from './errors.ts'
import { memorySessionStore } from './memory-session-store.ts'
import { ANN, BOB, setStage } from './testing/stage.ts'
import { steppedFetch, steppedStore, Turnstile } from './testing/turnstile.ts'
import type { UserRecord } from './user-record.ts'

/** With it every schedule runs; without it a share of them that grows with nothing but the number of operations. */
const isDeep = process.env.NIGHTLATCH_DEEP !== undefined
const SCHEDULES_PER_PAIR = 40

interface Scene extends Awaited<ReturnType<typeof setScene>> {}

/** One tab of the scene: an app whose every storage call and request can be held back. */
interface Actor {
  readonly app: App
  readonly tab: ReturnType<ReturnType<typeof setStage>['device']['openTab']>
  readonly turnstile: Turnstile
}

/** Ann is current and her token expired, Bob is on the device; two tabs show it. */
async function setScene(acrossTabs: boolean) {
  const stage = setStage()
  const { device, openTab, signIn, shelf } = stage
  device.locksAcrossTabs = acrossTabs
  const actor = (): Actor => {
    const turnstile = new Turnstile()
    const tab = device.openTab()
    const world = { ...tab.world, fetch: steppedFetch(tab.world.fetch, turnstile) }
    return { tab, turnstile, app: openTab({ world, store: steppedStore(memorySessionStore(shelf), turnstile) }).app }
  }
  const [one, two] = [actor(), actor()]
  await signIn(one.app, BOB)
  await signIn(one.app, ANN)
  device.setOnline(false)
  await device.pass({ minutes: 20 })
  device.setOnline(true)
  return { ...stage, one, two }
}

type Operation = (app: App, scene: Scene, actor: Actor) => Promise<unknown>

function userOf({ allUsers }: App, id: string) {
  const user = allUsers[id]
  if (!user) throw new AuthError('user-not-found', 'The other tab removed this user.')
  return user
}

function openUserOf(app: App, id: string) {
  const user = userOf(app, id)
  if (!('getAccessToken' in user)) throw new AuthError('locked', 'Nobody is locked here.')
  return user
}

const operations: Readonly<Record<string, Operation>> = {
  'log in again': (app) => app.logIn(Credentials.emailPassword(ANN.email, ANN.password)),
  'log in as Bob': (app) => app.logIn(Credentials.emailPassword(BOB.email, BOB.password)),
  'log in anonymously': (app) => app.logIn(Credentials.anonymous()),
  'log out': (app, { annId }) => app.logOut({ user: openUserOf(app, annId) }),
  'remove user': (app, { annId }) => app.removeUser(userOf(app, annId)),
  'switch user': (app, { bobId }) => app.switchUser(userOf(app, bobId)),
  'get access token': (app, { annId }) => openUserOf(app, annId).getAccessToken(),
  'revoked, then refresh': (app, { server, annId }) => {
    server.revoke(annId)
    return openUserOf(app, annId).getAccessToken()
  },
  link: (app, { annId }) => openUserOf(app, annId).linkCredentials(Credentials.emailPassword('ann@home.example', 'second password')),
  'close the app': (app) => app.close(),
  'kill the tab': async (_app, _scene, { tab, turnstile }) => {
    turnstile.closeBefore(0)
    tab.kill()
  },
}

/** An operation under way in one tab. */
class Run {
  done = false
  outcome: { readonly kind: 'resolved' } | { readonly kind: 'rejected'; readonly error: unknown } | undefined
  settledAt = 0
  readonly actor: Actor
  readonly #scene: Scene
  #heldSinceMs: number | undefined

  constructor(actor: Actor, operation: Operation, scene: Scene, stopBefore: number) {
    this.actor = actor
    this.#scene = scene
    actor.turnstile.closeBefore(stopBefore)
    const settle = (outcome: Run['outcome']) => {
      this.outcome = outcome
      this.done = true
      this.settledAt = Run.order++
    }
    void Promise.resolve()
      .then(() => operation(actor.app, scene, actor))
      .then(
        () => settle({ kind: 'resolved' }),
        (error: unknown) => settle({ kind: 'rejected', error }),
      )
  }

  static order = 1

  /** Runs until the operation is done or stands before its turnstile; there the tab gets no time, as if it were not scheduled. */
  async untilHeld(): Promise<void> {
    const { turnstile, tab } = this.actor
    await this.#scene.device.until(() => this.done || turnstile.isStopped)
    if (this.done) return
    this.#heldSinceMs = this.#scene.device.trueMs
    tab.frozen = true
  }

  async toEnd(): Promise<void> {
    const { turnstile, tab } = this.actor
    const { device } = this.#scene
    if (this.#heldSinceMs !== undefined) device.postpone(tab, device.trueMs - this.#heldSinceMs)
    tab.frozen = false
    turnstile.open()
    expect(await device.until(() => this.done), 'S14: every call settles').toBe(true)
  }
}

interface Schedule {
  readonly first: string
  readonly second: string
  readonly firstStops: number
  readonly secondStops: number
  readonly acrossTabs?: boolean
}

const NEVER = 1_000

/** Runs `first` up to its step, then `second` up to its own, then both to the end in that order. @returns steps each took if it was not stopped */
async function play({ first, second, firstStops, secondStops, acrossTabs = true }: Schedule): Promise<readonly [number, number]> {
  const scene = await setScene(acrossTabs)
  const a = new Run(scene.one, operationOf(first), scene, firstStops)
  await a.untilHeld()
  const b = new Run(scene.two, operationOf(second), scene, secondStops)
  await b.untilHeld()
  await a.toEnd()
  const firstSteps = scene.one.turnstile.steps
  await b.toEnd()
  const secondSteps = scene.two.turnstile.steps

  await expectConsistent(scene, [
    { name: first, run: a },
    { name: second, run: b },
  ])
  return [firstSteps, secondSteps]
}

function operationOf(name: string): Operation {
  const operation = operations[name]
  if (!operation) throw new Error(`There is no operation "${name}".`)
  return operation
}

async function expectConsistent(scene: Scene, runs: readonly { readonly name: string; readonly run: Run }[]): Promise<void> {
  const { device, server, shelf, annId, openTab, one, two } = scene
  const knownBefore = JSON.stringify([[...shelf.users.values()], shelf.device])
  for (const { run } of runs) {
    if (run.outcome?.kind !== 'rejected') continue
    expect(run.outcome.error, 'S14: every failure is typed').toBeInstanceOf(AuthError)
    expect(run.outcome.error).not.toMatchObject({ code: 'bug' })
  }
  await device.pass({ seconds: 1 })
  const living = [one, two].filter(({ tab, app }) => !tab.closed && !isClosed(app))
  const [seen = '', ...others] = living.map(({ app }) => shown(app))
  for (const other of others) expect(other, 'S16: live tabs agree within a second').toBe(seen)

  await device.pass({ minutes: 11 })
  const third = openTab().app
  await device.pass({ minutes: 1 })
  for (const { app } of living) expect(shown(app), 'S16: a live tab agrees with a fresh one').toBe(shown(third))

  const records = [...shelf.users.values()]
  expect(shelf.device.outbox, 'S5: the outbox is delivered').toEqual([])
  expect(shelf.device.leaves ?? [], 'S5: leaves are carried out').toEqual([])
  for (const record of records) {
    expect(record.epoch, 'S6: no record that the device did not commit').toBeLessThanOrEqual(shelf.device.epoch)
    if (record.status.kind === 'logged-out') expect(tokensOf(record), 'S5: a logged-out user has no token').toBe('')
  }
  expect(records.filter(isLiveAnonymous).length, 'S9: one anonymous user per device').toBeLessThanOrEqual(1)

  const held = records.map((record) => (record.status.kind === 'signed-in' ? tokensOf(record) : '')).join()
  // The session of an answer that a killed tab did not live to store is nobody's: no device knows its handle.
  const known =
    one.tab.closed || two.tab.closed ? server.liveSessionIds().filter((id) => knownBefore.includes(id)) : server.liveSessionIds()
  for (const id of known) expect(held, `S5: the server session ${id} lives and nobody holds it`).toContain(id)
  // A log-in and a log-out of the same person at the same time may take effect in either order; both leave one consistent state, checked above.
  const names = runs.map(({ name }) => name)
  const left = runs.some(({ name, run }) => (name === 'log out' || name === 'remove user') && run.outcome?.kind === 'resolved')
  if (left && !names.includes('log in again')) {
    const ann = records.find((record) => record.vault.kind === 'open' && record.vault.contents.userId === annId)
    expect(ann ? tokensOf(ann) : '', 'S5: who left has no token').toBe('')
    expect(third.currentUser?.id).not.toBe(annId)
  }
}

function isClosed(app: App): boolean {
  let completed = false
  app.authState$.subscribe({ complete: () => (completed = true) }).unsubscribe()
  return completed
}

/** What a person sees of an app. */
function shown({ authState, currentUser, allUsers }: App): string {
  const reason = authState.kind === 'login-required' ? authState.reason : undefined
  const users = Object.entries(allUsers).map(([id, user]) => [
    id,
    'state' in user ? user.state : 'locked',
    'identities' in user ? user.identities : [],
  ])
  return JSON.stringify([authState.kind, reason, currentUser?.id, users.sort()])
}

function tokensOf({ vault }: UserRecord): string {
  return vault.kind === 'open' && vault.contents.session ? JSON.stringify(vault.contents.session) : ''
}

function isLiveAnonymous({ status, vault }: UserRecord): boolean {
  return status.kind === 'signed-in' && vault.kind === 'open' && vault.contents.identities.every(({ provider }) => provider === 'anonymous')
}

const names = Object.keys(operations)

describe.each(names)('S4, S5, S6, S9, S16: %s meets in another tab', (first) => {
  test.each(names)(
    '%s, whichever is cut into the other wherever',
    async (second) => {
      const [firstSteps, secondSteps] = await play({ first, second, firstStops: NEVER, secondStops: NEVER })
      const all = Array.from({ length: firstSteps * (secondSteps + 1) }, (_, n): Schedule => {
        const [firstStops, secondStops] = [Math.floor(n / (secondSteps + 1)), n % (secondSteps + 1)]
        return { first, second, firstStops, secondStops: secondStops === secondSteps ? NEVER : secondStops }
      })
      const stride = isDeep ? 1 : Math.max(1, all.length / SCHEDULES_PER_PAIR)
      for (let n = 0; n < all.length; n += stride) {
        const schedule = all[Math.floor(n)]
        // With Web Locks and without: in turns, or both.
        const isEven = Math.floor(n / stride) % 2 === 0
        for (const acrossTabs of isDeep ? [true, false] : [isEven]) if (schedule) await atSchedule({ ...schedule, acrossTabs })
      }
    },
    600_000,
  )
})

describe.each(names.filter((name) => name !== 'kill the tab'))('S5, S6: the tab dies during: %s', (name) => {
  test.each(['the next start', 'another tab'])('at any step: %s finds a consistent device', async (who) => {
    for (let step = 0, isHeld = true; isHeld; step += 1) {
      const scene = await setScene(true)
      if (who === 'the next start') scene.two.tab.kill()
      const run = new Run(scene.one, operationOf(name), scene, step)
      await run.untilHeld()
      isHeld = !run.done
      scene.one.tab.kill()

      await named(`dies before step ${step}`, () => expectConsistent(scene, run.done ? [{ name, run }] : []))
      await named(`dies before step ${step}`, () => expectUsable(scene))
    }
  })
})

/** Whoever is signed in after a crash still is for the server. */
async function expectUsable({ device, openTab }: Scene): Promise<void> {
  const { app } = openTab()
  await device.resolve(app.ready)
  if (app.authState.kind !== 'signed-in') return
  await expect(device.resolve(app.authState.user.getAccessToken({ minValidityMs: 900_000 }))).resolves.toMatch(/^a\./)
}

async function atSchedule(schedule: Schedule): Promise<void> {
  await named(`Schedule ${JSON.stringify(schedule)}`, () => play(schedule))
}

async function named(where: string, check: () => Promise<unknown>): Promise<void> {
  try {
    await check()
  } catch (error) {
    throw new Error(`${where}: ${error instanceof Error ? error.message : String(error)}`, { cause: error })
  }
}
