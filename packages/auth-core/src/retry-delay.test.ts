import { describe, expect, test } from 'vitest'
import { RetryMemory, retryDelayMs } from './retry-delay.ts'

const random = (fraction: number) => ({ bytes: (length: number) => new Uint8Array(length), fraction: () => fraction })

describe('the delay before the next try', () => {
  test.each([
    [1, 2_000],
    [2, 4_000],
    [5, 32_000],
    [8, 256_000],
    [9, 300_000],
    [1_000_000, 300_000],
  ])('after %d failures it is anything up to %d ms', (failures, ceilingMs) => {
    expect(retryDelayMs(failures, random(0))).toBe(0)
    expect(retryDelayMs(failures, random(0.5))).toBe(ceilingMs / 2)
    expect(retryDelayMs(failures, random(1))).toBe(ceilingMs)
  })

  test('is never shorter than the server asked for', () => {
    expect(retryDelayMs(1, random(0), 7_000)).toBe(7_000)
    expect(retryDelayMs(9, random(1), 7_000)).toBe(300_000)
  })
})

describe('the memory of failures', () => {
  function remembering() {
    let nowMs = 0
    const clock = { nowMs: () => 0, monotonicMs: () => nowMs }
    const memory = new RetryMemory<string>(clock, random(1))
    return { memory, pass: (ms: number) => (nowMs += ms) }
  }
  const error = new Error('no answer')

  test('stands in the way until its delay is over', () => {
    const { memory, pass } = remembering()

    expect(memory.failed('ann', error)).toBe(2_000)
    expect(memory.standing('ann')).toBe(error)
    expect(memory.waitMs('ann')).toBe(2_000)
    expect(memory.standing('bob')).toBeUndefined()
    pass(2_000)
    expect(memory.standing('ann')).toBeUndefined()
    expect(memory.waitMs('ann')).toBe(0)
  })

  test('doubles with every failure in a row and begins anew after a success', () => {
    const { memory } = remembering()

    memory.failed('ann', error)
    expect(memory.failed('ann', error)).toBe(4_000)
    memory.forget('ann')
    expect(memory.failed('ann', error)).toBe(2_000)
  })

  test('S12: is dropped as a whole when the network or the page came back', () => {
    const { memory } = remembering()
    memory.failed('ann', error)
    memory.failed('bob', error, 60_000)

    memory.forget()

    expect([memory.standing('ann'), memory.standing('bob'), memory.waitMs('bob')]).toEqual([undefined, undefined, 0])
  })
})
