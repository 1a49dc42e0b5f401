import { inspect } from 'node:util'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { App } from './app.ts'
import { Credentials } from './credentials.ts'
import { AuthError } from './errors.ts'
import { type MemoryShelf, memorySessionStore } from './memory-session-store.ts'
import { type Fault, faults } from './testing/scripted-server.ts'
import type { SimulatedTab } from './testing/simulated-world.ts'
import { ANN, BOB, setStage } from './testing/stage.ts'
import { steppedStore, Turnstile } from './testing/turnstile.ts'
import type { User } from './user.ts'

/** NIGHTLATCH_DEEP: how many minutes of random runs; without it some seconds. NIGHTLATCH_SEED and NIGHTLATCH_PATH: one run again. */
const { NIGHTLATCH_DEEP, NIGHTLATCH_SEED, NIGHTLATCH_PATH } = process.env
const budgetMs = NIGHTLATCH_DEEP === undefined ? 15_000 : Number(NIGHTLATCH_DEEP) * 60_000
const SECONDS = 1_000
const MINUTES = 60 * SECONDS
const DAYS = 24 * 60 * MINUTES

interface OpenTab {
  readonly tab: SimulatedTab
  readonly app: App
  readonly turnstile: Turnstile
}

/** One device under random treatment, and what may be asked of it after every step. */
class Device {
  readonly stage: ReturnType<typeof setStage>
  readonly tabs: OpenTab[] = []
  /** Users whose sessions the server was told to end. */
  readonly ended = new Set<string>()
  readonly #calls = new Map<Promise<void>, SimulatedTab>()
  readonly #told: unknown[] = []
  readonly #loggingIn = new Set<object>()
  #logIns = 0
  readonly #left = new Set<string>()
  readonly #stored = new Set<string>()
  readonly broken: string[] = []
  #clockTrouble: 'set back' | 'asleep' | undefined

  constructor(seed: number) {
    this.stage = setStage({ seed })
    this.stage.shelf.changes$.subscribe(() => {
      for (const id of sessionIdsOn(this.stage.shelf)) this.#stored.add(id)
    })
    this.open()
  }

  /**
   * Of a device that sleeps only the wall clock knows for how long. If its date is set back too, nobody can tell until the server is heard
   * again (S11: "as last learned"), so one run has one of the two.
   */
  hasOnly(trouble: 'set back' | 'asleep'): boolean {
    this.#clockTrouble ??= trouble
    return this.#clockTrouble === trouble
  }

  open(): void {
    const { device, shelf, openTab } = this.stage
    if (this.tabs.length >= 3) return
    const turnstile = new Turnstile()
    const tab = device.openTab()
    const { app } = openTab({ world: tab.world, store: steppedStore(memorySessionStore(shelf), turnstile) })
    const ends = new Map<string, number>()
    const logIns = new Map<string, number>()
    app.events$.subscribe(({ type, userKey, ...event }) => {
      this.#told.push({ type, userKey, ...event })
      if (userKey === null) return
      if (type === 'logged-in') logIns.set(userKey, (logIns.get(userKey) ?? 0) + 1)
      if (type !== 'session-over') return
      ends.set(userKey, (ends.get(userKey) ?? 0) + 1)
    })
    this.tabs.push({ tab, app, turnstile })
  }

  /** A living tab, whichever the number falls on. */
  at(number: number): OpenTab {
    const living = this.tabs.filter(({ tab }) => !tab.frozen)
    const found = living[number % Math.max(1, living.length)]
    if (found) return found
    this.tabs[0]?.tab.thaw()
    return this.at(number)
  }

  kill({ tab, turnstile }: OpenTab): void {
    turnstile.closeBefore(0)
    tab.kill()
    this.tabs.splice(
      this.tabs.findIndex((open) => open.tab === tab),
      1,
    )
    if (this.tabs.length === 0) this.open()
  }

  /** Begins a call and looks at how it ends; the run goes on meanwhile. */
  call(name: string, { tab }: OpenTab, begin: () => Promise<unknown>): void {
    const call = Promise.resolve()
      .then(begin)
      .then(
        () => {},
        (error: unknown) => {
          this.#told.push(error)
          if (!(error instanceof AuthError)) this.broken.push(`S14: ${name} failed without a type: ${inspect(error)}`)
          else if (error.code === 'bug') this.broken.push(`S14: ${name} met a bug: ${inspect(error)}`)
        },
      )
      .finally(() => this.#calls.delete(call))
    this.#calls.set(call, tab)
  }

  /** Calls under way in tabs that live. */
  #underWay(): number {
    return [...this.#calls.values()].filter(({ closed }) => !closed).length
  }

  logIn(open: OpenTab, who: 'ann' | 'bob' | 'anonymous'): void {
    const credentials =
      who === 'anonymous'
        ? Credentials.anonymous()
        : who === 'ann'
          ? Credentials.emailPassword(ANN.email, ANN.password)
          : Credentials.emailPassword(BOB.email, BOB.password)
    const ticket = {}
    this.#loggingIn.add(ticket)
    this.#logIns += 1
    this.#left.clear()
    this.call(`log in as ${who}`, open, () => open.app.logIn(credentials).finally(() => this.#loggingIn.delete(ticket)))
  }

  leave(name: string, open: OpenTab, leave: (user: User) => Promise<unknown>): void {
    const user = open.app.currentUser
    if (!user) return
    const { id } = user
    const [loggingIn, logIns] = [this.#loggingIn.size, this.#logIns]
    this.call(name, open, async () => {
      await leave(user)
      // A log-in at the same time may take effect after it.
      if (loggingIn === 0 && logIns === this.#logIns) this.#left.add(id)
    })
  }

  token(open: OpenTab, minValidityMs?: number): void {
    const user = open.app.currentUser
    if (!user) return
    const { device, server } = this.stage
    this.call('get an access token', open, async () => {
      const token = await user.getAccessToken(minValidityMs === undefined ? {} : { minValidityMs })
      const leftMs = Number(token.split('.')[3]) - device.trueMs
      const neededMs = Math.min(minValidityMs ?? 30 * SECONDS, server.accessLifeMs / 2)
      if (leftMs < neededMs - SECONDS) this.broken.push(`S11: a token with ${leftMs} ms of life was handed out, ${neededMs} were asked for`)
    })
  }

  /** What holds at every moment. */
  check(): void {
    const { server, shelf } = this.stage
    expect(this.broken).toEqual([])
    expect(server.reuses, 'S4: no old refresh token is ever sent').toBe(0)
    for (const { app } of this.tabs) {
      const { authState } = app
      expect(authState.kind, 'S10: the store is there').not.toBe('unavailable')
      if (authState.kind === 'login-required') {
        expect([...this.ended], `S1: ${authState.user.id} is shown as over (${authState.reason})`).toContain(authState.user.id)
      }
    }
    for (const record of shelf.users.values()) {
      if (record.vault.kind !== 'open') continue
      const { userId, session } = record.vault.contents
      if (record.status.kind === 'logged-out') expect(session, 'S5: a logged-out user has no token').toBeUndefined()
      if (record.status.kind === 'over') expect([...this.ended], `S1: ${userId} is stored as over`).toContain(userId)
      if (this.#left.has(userId) && !isLeaving(shelf, record.key)) expect(session, `S5: ${userId} left and is still there`).toBeUndefined()
    }
  }

  /** Everything heals; then everything must fit together. */
  async settle(): Promise<void> {
    const { device, server, shelf, openTab } = this.stage
    server.everyAnswer(undefined)
    server.forgetOrders()
    if (!device.online) device.setOnline(true)
    for (const { tab } of this.tabs) if (tab.frozen) tab.thaw()
    await device.until(() => this.#underWay() === 0)
    expect(this.#underWay(), 'S14: every call settles').toBe(0)
    await device.pass({ minutes: 45 })
    this.check()
    const fresh = openTab().app
    await device.pass({ minutes: 1 })
    for (const { app } of this.tabs) expect(shown(app), 'S16: every tab shows what a fresh one shows').toBe(shown(fresh))
    await this.#checkStored(shelf)
    const { authState } = fresh
    if (authState.kind === 'signed-in') {
      await expect(
        device.resolve(authState.user.getAccessToken({ minValidityMs: 15 * MINUTES })),
        'S1: who is signed in gets a token',
      ).resolves.toMatch(/^a\./)
    }
    this.#checkCanaries()
  }

  async #checkStored(shelf: MemoryShelf): Promise<void> {
    expect(shelf.device.outbox, 'S5: the outbox is delivered').toEqual([])
    expect(shelf.device.leaves ?? [], 'S5: leaves are carried out').toEqual([])
    const records = [...shelf.users.values()]
    for (const record of records)
      expect(record.epoch, 'S6: nothing is stored without being committed').toBeLessThanOrEqual(shelf.device.epoch)
    const anonymous = records.filter(
      ({ status, vault }) =>
        status.kind === 'signed-in' && vault.kind === 'open' && vault.contents.identities.every(({ provider }) => provider === 'anonymous'),
    )
    expect(anonymous.length, 'S9: one anonymous user').toBeLessThanOrEqual(1)
  }

  #checkCanaries(): void {
    const seen = this.#told.map((thing) => inspect(thing, { depth: 6 }) + JSON.stringify(thing)).join()
    for (const secret of [...this.stage.server.secrets, ANN.password, BOB.password]) expect(seen, 'S13').not.toContain(secret)
  }
}

function sessionIdsOn(shelf: MemoryShelf): string[] {
  return [...shelf.users.values()].flatMap(({ vault }) =>
    vault.kind === 'open' && vault.contents.session?.id ? [vault.contents.session.id] : [],
  )
}

function isLeaving(shelf: MemoryShelf, key: string): boolean {
  return shelf.device.leaves?.some((leave) => leave.key === key) ?? false
}

function shown({ authState, currentUser, allUsers }: App): string {
  const users = Object.entries(allUsers).map(([id, user]) => [id, 'state' in user ? user.state : 'locked'])
  return JSON.stringify([authState.kind, authState.kind === 'login-required' && authState.reason, currentUser?.id, users.sort()])
}

/** One step: something happens, some time passes, and what must hold still does. */
class Step implements fc.AsyncCommand<object, Device> {
  readonly #name: string
  readonly #happen: (device: Device) => unknown
  readonly #thenPassMs: number

  constructor(name: string, happen: (device: Device) => unknown, thenPassMs: number) {
    this.#name = name
    this.#happen = happen
    this.#thenPassMs = thenPassMs
  }

  check(): boolean {
    return true
  }

  async run(_: object, device: Device): Promise<void> {
    await this.#happen(device)
    await device.stage.device.pass({ ms: this.#thenPassMs })
    device.check()
  }

  toString(): string {
    return `${this.#name}, then ${this.#thenPassMs} ms`
  }
}

const tabNumber = fc.nat({ max: 2 })
const aMoment = fc.constantFrom(0, 1, 5, 21, 45, 400, 2 * SECONDS, 7 * SECONDS)
const aWhile = fc.constantFrom(1 * MINUTES, 5 * MINUTES, 20 * MINUTES, 3 * 60 * MINUTES)

type Happening = (device: Device, tab: OpenTab) => unknown

const step = (name: string, happen: Happening, time: fc.Arbitrary<number> = aMoment) =>
  fc.tuple(tabNumber, time).map(([number, ms]) => new Step(`${name} (tab ${number})`, (device) => happen(device, device.at(number)), ms))

const order = (name: string, fault: Fault, path?: string) => step(name, ({ stage }) => stage.server.nextAnswer(fault, path), fc.constant(0))

const jump = (name: string, ms: number) =>
  step(name, (device) => {
    if (ms > 0) device.stage.device.wallOffsetMs += ms
    else if (device.hasOnly('set back')) device.stage.device.wallOffsetMs += ms
  })

const endSessions = (device: Device, id: string, code?: string) => {
  device.ended.add(id)
  device.stage.server.revoke(id, code)
}

const steps: fc.Arbitrary<Step>[] = [
  step('log in as Ann', (device, open) => device.logIn(open, 'ann')),
  step('log in as Bob', (device, open) => device.logIn(open, 'bob')),
  step('log in anonymously', (device, open) => device.logIn(open, 'anonymous')),
  step('log out', (device, open) => device.leave('log out', open, (user) => user.logOut())),
  step('remove', (device, open) => device.leave('remove', open, (user) => open.app.removeUser(user))),
  step('delete', (device, open) =>
    device.leave('delete', open, (user) => {
      device.ended.add(user.id)
      return open.app.deleteUser(user)
    }),
  ),
  step('switch', (device, open) => {
    const other = Object.values(open.app.allUsers).find((user) => user.key !== open.app.currentUser?.key)
    if (other) device.call('switch', open, () => open.app.switchUser(other))
  }),
  step('link', (device, open) => {
    const user = open.app.currentUser
    if (user) device.call('link', open, () => user.linkCredentials(Credentials.emailPassword(`${user.id}@home.example`, 'second')))
  }),
  step('get a token', (device, open) => device.token(open)),
  step('get a token of some life', (device, open) => device.token(open, 6 * MINUTES)),
  step('time passes', () => {}, aWhile),
  step('the server revokes', (device, open) => {
    const id = open.app.currentUser?.id
    if (id !== undefined) endSessions(device, id)
  }),
  step('the server disables', (device, open) => {
    const id = open.app.currentUser?.id
    if (id !== undefined) endSessions(device, id, 'user_disabled')
  }),
  step('crash', (device, open) => device.kill(open)),
  step('open a tab', (device) => device.open()),
  step('freeze', (_, { tab }) => tab.freeze()),
  step('thaw', ({ tabs }) => {
    for (const { tab } of tabs) if (tab.frozen) tab.thaw()
  }),
  step('offline', ({ stage }) => stage.device.setOnline(false)),
  step('online', ({ stage }) => stage.device.setOnline(true)),
  step('a month asleep', (device) => device.hasOnly('asleep') && device.stage.device.sleep({ days: 30 })),
  step('messages get lost', ({ stage }) => {
    stage.device.channelLagMs = Number.POSITIVE_INFINITY
  }),
  order('the next answer is lost', faults.lostAnswer),
  order('the next answer is cut', faults.cutJson),
  order('the next refresh meets 500', faults.error500, 'refresh'),
  order('a portal answers the next refresh', faults.htmlLoginPage(403), 'refresh'),
  order('a slow proxy keeps the next refresh for minutes', faults.late(3 * MINUTES), 'refresh'),
  order('a slow proxy keeps the next request for minutes', faults.late(90 * SECONDS)),
  order('the next answer takes 8 s', faults.delay(8 * SECONDS)),
  order('the next revocation is lost', faults.networkError, 'revoke'),
  jump('the clock goes a day forward', DAYS),
  jump('the clock goes a day back', -DAYS),
  jump('the clock goes ten years forward', 3_650 * DAYS),
  jump('the clock goes ten years back', -3_650 * DAYS),
]

test(
  'S1, S2, S4, S5, S6, S9, S11, S13, S14, S16 hold after every step of any run',
  async () => {
    const property = fc.asyncProperty(fc.commands(steps, { size: 'large', maxCommands: 40 }), fc.nat(), async (commands, seed) => {
      let device: Device | undefined
      await fc.asyncModelRun(() => {
        device = new Device(seed)
        return { model: {}, real: device }
      }, commands)
      await device?.settle()
    })
    const details = await fc.check(property, {
      numRuns: Number.MAX_SAFE_INTEGER,
      interruptAfterTimeLimit: budgetMs,
      ...(NIGHTLATCH_SEED === undefined ? {} : { seed: Number(NIGHTLATCH_SEED), path: NIGHTLATCH_PATH ?? '' }),
    })
    const run = details.counterexamplePath?.split(':')[0]
    const again = `NIGHTLATCH_SEED=${details.seed} NIGHTLATCH_PATH=${run} npm test -- node packages/auth-core/src/random-runs`
    if (details.failed && details.counterexample !== null) {
      const [commands, seed] = details.counterexample
      const what = `${String(details.errorInstance)}\nafter ${fc.stringify(commands)}\nwith seed ${seed}.`
      throw new Error(`${what}\nAgain: ${again}`, { cause: details.errorInstance })
    }
    expect(details.numRuns, 'runs that fit the budget').toBeGreaterThan(0)
  },
  budgetMs * 4 + 60_000,
)
