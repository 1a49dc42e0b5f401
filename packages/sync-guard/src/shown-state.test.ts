import { realWorld } from '@nightlatch/auth-core/world'
import { expect, test } from 'vitest'
import { ShownState } from './shown-state.ts'
import { type SyncState, syncStateOf } from './sync-state.ts'

/** A state that a test changes, in a tab whose time it owns. */
function shownState() {
  let [nowMs, rejected, asked] = [0, 0, 0]
  const tab = { visible: true }
  const timers = new Set<{ readonly dueMs: number; readonly callback: () => void }>()
  const seen: number[] = []
  const world = {
    ...realWorld(),
    clock: { nowMs: () => nowMs, monotonicMs: () => nowMs },
    lifecycle: {
      get visible() {
        return tab.visible
      },
      watch: () => () => {},
    },
    timers: {
      start: (delayMs: number, callback: () => void) => {
        const timer = { dueMs: nowMs + delayMs, callback }
        timers.add(timer)
        return () => void timers.delete(timer)
      },
    },
  }
  const stateNow = (): SyncState => {
    asked += 1
    return { ...syncStateOf({ halting: false, collections: {} }), rejected }
  }
  let tells = 0
  const shown = new ShownState({
    world,
    stateNow,
    shown: () => {
      tells += 1
    },
  })
  shown.state$.subscribe(({ rejected: value }) => seen.push(value))
  return {
    shown,
    seen,
    tab,
    timers,
    asked: () => asked,
    tells: () => tells,
    change: (value: number, how?: { readonly atOnce: boolean }) => {
      rejected = value
      shown.changed(how)
    },
    pass: async (ms: number) => {
      nowMs += ms
      for (const timer of [...timers].filter(({ dueMs }) => dueMs <= nowMs)) {
        timers.delete(timer)
        timer.callback()
      }
      await Promise.resolve()
    },
  }
}

test('a single change is told in the same moment', async () => {
  const { seen, change, pass, tells } = shownState()
  await pass(100)

  change(1)
  await Promise.resolve()

  expect(seen).toEqual([0, 1])
  expect(tells()).toBe(1)
})

test('many changes are told together, and the last one always', async () => {
  const { seen, change, pass, asked, timers } = shownState()
  await pass(100)
  const before = asked()
  for (let value = 1; value <= 50; value += 1) {
    change(value)
    await Promise.resolve()
  }
  expect(seen).toEqual([0, 1])

  await pass(4)

  expect(seen).toEqual([0, 1, 50])
  expect(asked() - before).toBe(2)
  expect(timers.size).toBe(0)
})

test('what somebody waits for is told at once, whatever was told before', async () => {
  const { seen, change, pass, timers } = shownState()
  await pass(100)
  change(1)
  await Promise.resolve()
  change(2)
  await Promise.resolve()

  change(3, { atOnce: true })
  await Promise.resolve()

  expect(seen).toEqual([0, 1, 3])
  expect(timers.size).toBe(0)
})

test('a hidden tab, whose timers come late, tells every change at once; so does one whose timer is late already', async () => {
  const { seen, change, pass, tab, timers } = shownState()
  await pass(100)
  change(1)
  await Promise.resolve()
  tab.visible = false
  change(2)
  await Promise.resolve()
  expect(seen).toEqual([0, 1, 2])

  tab.visible = true
  change(3)
  timers.clear() // it would fire in a second
  await pass(4)
  change(4)
  await Promise.resolve()
  expect(seen).toEqual([0, 1, 2, 4])
})

test('the state is current between two tellings, is the same object until something is different, and begins each subscription', async () => {
  const { shown, seen, change, pass } = shownState()
  await pass(100)
  change(1)
  await Promise.resolve()
  change(2)
  const { state } = shown
  change(2)

  expect(state.rejected).toBe(2)
  expect(shown.state).toBe(state)
  const late: SyncState[] = []
  shown.state$.subscribe((value) => late.push(value))
  expect(late).toEqual([state])
  expect(seen).toEqual([0, 1, 2])
})

test('after closing nothing is pending and nothing is told', async () => {
  const { shown, seen, change, pass, timers } = shownState()
  await pass(100)
  change(1)
  await Promise.resolve()
  change(2)

  shown.close()
  change(3, { atOnce: true })
  await pass(100)

  expect(timers.size).toBe(0)
  expect(seen).toEqual([0, 1])
})
