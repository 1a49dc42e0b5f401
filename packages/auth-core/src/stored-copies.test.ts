import { expect, test } from 'vitest'
import { StoredCopies } from './stored-copies.ts'
import type { Revision } from './user-record.ts'

interface Thing {
  readonly revision: Revision
}

const thing = (revision: string): Thing => ({ revision: revision as Revision })

/** Storage that gives what it held when it was asked, as late as the test likes. */
function slowStorage() {
  let held = thing('1')
  const answers: (() => void)[] = []
  const read = () => {
    const seen = held
    return new Promise<Thing>((resolve) => answers.push(() => resolve(seen)))
  }
  return {
    copies: new StoredCopies<'a', Thing>(read, () => {}),
    store: (next: Thing) => {
      held = next
    },
    /** Lets the oldest waiting look have its answer. */
    async answer() {
      answers.shift()?.()
      for (let turn = 0; turn < 5; turn += 1) await Promise.resolve()
    },
    asked: () => answers.length,
  }
}

test('S16: who asks while a look is under way gets one that begins afterwards', async () => {
  const { copies, store, answer } = slowStorage()
  const first = copies.look('a')
  store(thing('2'))
  const second = copies.look('a')
  const third = copies.look('a')

  await answer()
  await answer()

  expect([await first, await second, await third]).toEqual([thing('1'), thing('2'), thing('2')])
  expect(copies.all.get('a')).toEqual(thing('2'))
})

test('S4: a look that a write overtook does not bring the old record back', async () => {
  const { copies, store, answer } = slowStorage()
  const look = copies.look('a')
  await copies.write('a', async () => {
    store(thing('2'))
    return { stored: thing('2'), result: undefined }
  })

  await answer()
  await answer()

  expect(await look).toEqual(thing('2'))
  expect(copies.all.get('a')).toEqual(thing('2'))
})

test('S4: a write that a look overtook asks storage which is newer', async () => {
  const { copies, store, answer } = slowStorage()
  const { promise, resolve } = Promise.withResolvers<void>()
  const written = copies.write('a', async () => {
    store(thing('2'))
    await promise
    return { stored: thing('2'), result: undefined }
  })
  store(thing('3'))
  const look = copies.look('a')
  await answer()
  await look
  resolve()
  await Promise.resolve()
  for (let turn = 0; turn < 5; turn += 1) await Promise.resolve()
  await answer()
  await written

  expect(copies.all.get('a')).toEqual(thing('3'))
})

test('a failed look fails those who wait behind it, and the next one begins anew', async () => {
  let fails = true
  const copies = new StoredCopies<'a', Thing>(
    () => (fails ? Promise.reject(new Error('blocked')) : Promise.resolve(thing('1'))),
    () => {},
  )
  const [first, second] = [copies.look('a'), copies.look('a')]

  await expect(first).rejects.toThrow('blocked')
  await expect(second).rejects.toThrow('blocked')
  fails = false
  expect(await copies.look('a')).toEqual(thing('1'))
})
