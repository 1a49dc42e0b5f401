import { afterEach, describe, expect, test } from 'vitest'
import type * as Http from './http/index.ts'
import type * as Core from './index.ts'
import { MemoryShelf } from './index.ts'
import './http/index.ts' // so that Vite has met every dependency before a frame or a worker asks for it
import type * as RealWorld from './world/index.ts'
import { realWorld } from './world/index.ts'

const frames: HTMLIFrameElement[] = []
afterEach(() => {
  for (const frame of frames.splice(0)) frame.remove()
})

/** A realm of its own on this origin: to locks, channels and storage it is another tab. */
async function openFrame() {
  const frame = document.createElement('iframe')
  document.body.append(frame)
  frames.push(frame)
  const realm = frame.contentWindow as (Window & typeof globalThis) | null
  if (!realm) throw new Error('The frame has no window.')
  const load = <Module>(path: string): Promise<Module> =>
    realm.eval(`import(${JSON.stringify(new URL(path, import.meta.url).href)})`) as Promise<Module>
  return { frame, realm, load, world: () => load<typeof RealWorld>('./world/index.ts').then((module) => module.realWorld()) }
}

const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms))

/** A task that runs until it is told to end. */
function openEnded() {
  const { promise, resolve } = Promise.withResolvers<void>()
  let begun = false
  return {
    run: () => {
      begun = true
      return promise
    },
    end: resolve,
    get begun() {
      return begun
    },
  }
}

describe('Web Locks between two frames', () => {
  test('order them, and pass on when the holder goes', async () => {
    const [one, two] = [await openFrame(), await openFrame()]
    const [mine, theirs] = [await one.world(), await two.world()]
    const [holding, waiting] = [openEnded(), openEnded()]
    void mine.locks.hold('lock-a', holding.run)
    await expect.poll(() => holding.begun).toBe(true)
    const waited = theirs.locks.hold('lock-a', waiting.run)
    await pause(50)

    expect([holding.begun, waiting.begun]).toEqual([true, false])
    expect(await theirs.locks.holdIfFree('lock-a', async () => 1)).toEqual({ held: false })

    one.frame.remove()
    await expect.poll(() => waiting.begun).toBe(true)
    waiting.end()
    await waited
    await expect.poll(() => theirs.locks.holdIfFree('lock-a', async () => 1)).toEqual({ held: true, value: 1 })
  })

  test('S4: are released on `pagehide` although the work goes on', async () => {
    const [one, two] = [await openFrame(), await openFrame()]
    const [mine, theirs] = [await one.world(), await two.world()]
    const holding = openEnded()
    const held = mine.locks.hold('lock-b', async () => {
      await holding.run()
      return 'finished'
    })
    await expect.poll(() => holding.begun).toBe(true)
    expect(await theirs.locks.holdIfFree('lock-b', async () => 1)).toEqual({ held: false })

    one.realm.dispatchEvent(new one.realm.Event('pagehide'))

    await expect.poll(() => theirs.locks.holdIfFree('lock-b', async () => 1)).toEqual({ held: true, value: 1 })
    holding.end()
    expect(await held).toBe('finished')
  })

  test('S14: a waiter can give up', async () => {
    const [one, two] = [await openFrame(), await openFrame()]
    const [mine, theirs] = [await one.world(), await two.world()]
    const holding = openEnded()
    void mine.locks.hold('lock-c', holding.run)
    await expect.poll(() => holding.begun).toBe(true)
    const reason = new Error('enough')

    await expect(theirs.locks.hold('lock-c', async () => 1, { signal: AbortSignal.timeout(30) })).rejects.toMatchObject({
      name: 'TimeoutError',
    })
    await expect(theirs.locks.hold('lock-c', async () => 1, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
    holding.end()
  })
})

test('a channel reaches the other frame and not the sender, and takes a late message after it is closed', async () => {
  const [one, two] = [await openFrame(), await openFrame()]
  const [mine, theirs] = [(await one.world()).channels.open('news'), (await two.world()).channels.open('news')]
  const heard: unknown[] = []
  mine.listen((message) => heard.push(['mine', message]))
  theirs.listen((message) => heard.push(['theirs', message]))

  mine.post({ type: 'heartbeat', lock: 'a' })
  await expect.poll(() => heard.length).toBeGreaterThan(0)
  expect(heard).toEqual([['theirs', { type: 'heartbeat', lock: 'a' }]])

  mine.close()
  expect(() => mine.post('late')).not.toThrow()
})

test('S11: a delay over 2^31 - 1 ms does not fire at once; one that has passed does', async () => {
  const { timers } = realWorld()
  const fired: string[] = []
  const undo = [2 ** 31, 2 ** 40, Number.MAX_SAFE_INTEGER].map((ms) => timers.start(ms, () => fired.push(String(ms))))
  timers.start(-5, () => fired.push('passed'))

  await pause(50)

  expect(fired).toEqual(['passed'])
  for (const stop of undo) stop()
})

test('hints are shared through localStorage, and a blocked one is no failure', async () => {
  const [one, two] = [await openFrame(), await openFrame()]
  const [mine, theirs] = [await one.world(), await two.world()]
  mine.hints.write('nl-test', '7')
  expect(theirs.hints.read('nl-test')).toBe('7')
  theirs.hints.remove('nl-test')
  expect(mine.hints.read('nl-test')).toBeNull()

  const blocked = await openFrame()
  Object.defineProperty(blocked.realm, 'localStorage', {
    get() {
      throw new DOMException('Blocked.', 'SecurityError')
    },
  })
  const { hints } = await blocked.world()
  hints.write('nl-test', '8')
  expect(hints.read('nl-test')).toBe('8')
  expect(mine.hints.read('nl-test')).toBeNull()
})

test('S12: what the page and the network do is told', async () => {
  const { realm, world } = await openFrame()
  const { lifecycle, connectivity } = await world()
  const heard: unknown[] = []
  const undo = [lifecycle.watch((signal) => heard.push(signal)), connectivity.watch((online) => heard.push(online))]

  for (const name of ['pageshow', 'pagehide', 'online', 'offline']) realm.dispatchEvent(new realm.Event(name))
  for (const name of ['visibilitychange', 'freeze', 'resume']) realm.document.dispatchEvent(new realm.Event(name))
  for (const stop of undo) stop()
  realm.dispatchEvent(new realm.Event('online'))

  expect(heard).toEqual(['page-shown', 'page-hidden', true, false, realm.document.visibilityState, 'frozen', 'resumed'])
})

test('importing does nothing: no timer, listener, channel, lock, request or stored value', async () => {
  const { realm, load } = await openFrame()
  const done: string[] = []
  const spy = (owner: object, name: string) => {
    const original: unknown = Reflect.get(owner, name)
    Reflect.set(owner, name, function (this: unknown, ...args: unknown[]) {
      done.push(name)
      return Reflect.apply(original as () => unknown, this, args) as unknown
    })
  }
  for (const name of ['setTimeout', 'setInterval', 'fetch', 'addEventListener', 'BroadcastChannel']) spy(realm, name)
  spy(realm.document, 'addEventListener')
  spy(realm.navigator.locks, 'request')
  spy(realm.Storage.prototype, 'setItem')

  for (const path of ['./index.ts', './http/index.ts', './world/index.ts']) await load(path)

  expect(done).toEqual([])
})

test('S3: two frames with an expired token make one refresh', async () => {
  const shelf = new MemoryShelf()
  let refreshes = 0
  const grant = (token: string) => ({
    token_type: 'Bearer',
    access_token: token,
    expires_in: 1,
    refresh_token: `r-${token}`,
    user_id: 'u1',
  })
  const open = async () => {
    const { load } = await openFrame()
    const core = await load<typeof Core>('./index.ts')
    const http = await load<typeof Http>('./http/index.ts')
    const world = (await load<typeof RealWorld>('./world/index.ts')).realWorld()
    const fetch: typeof globalThis.fetch = async (input, init) => {
      const { pathname } = new URL(new Request(input, init).url)
      if (pathname.endsWith('/login')) return Response.json(grant('first'))
      if (!pathname.endsWith('/refresh')) return Response.json({ error: 'No.', code: 'not_found' }, { status: 404 })
      refreshes += 1
      await pause(300)
      return Response.json({ ...grant(`renewed-${refreshes}`), expires_in: 900 })
    }
    const app = core.createApp({
      id: 'frames',
      backend: http.httpBackend('https://api.example.org'),
      store: core.memorySessionStore(shelf),
      world: { ...world, fetch, connectivity: { online: false, watch: () => () => {} } },
    })
    await app.ready
    return { app, core }
  }
  const one = await open()
  await one.app.logIn(one.core.Credentials.apiKey('key'))
  const two = await open()
  await pause(700)

  const users = [one, one, two, two].flatMap(({ app }) => app.currentUser ?? [])
  const tokens = await Promise.all(users.map((user) => user.getAccessToken()))

  expect(tokens).toHaveLength(4)
  expect(new Set(tokens)).toEqual(new Set(['renewed-1']))
  expect(refreshes).toBe(1)
})

test('works in a worker, without a page', async () => {
  const worker = new Worker(new URL('./testing/app-in-worker.ts', import.meta.url), { type: 'module' })
  const answered = new Promise((resolve) => {
    worker.addEventListener('message', ({ data }) => resolve(data))
  })
  worker.postMessage({
    grant: { token_type: 'Bearer', access_token: 'a', expires_in: 900, refresh_token: 'r', user_id: 'u1', identities: [] },
  })

  expect(await answered).toEqual({ hasPage: false, acrossTabs: true, visible: true, id: 'u1', token: 'a' })
  worker.terminate()
})
