import type { KeyProvider, UserKey } from '@nightlatch/auth-core'
import { afterEach, describe, expect, test } from 'vitest'

/** One device's platform keys: every provider it opens is another process over the same keys. */
export interface KeyDevice {
  openProvider(): KeyProvider
  dispose?(): Promise<void>
}

/** What every `KeyProvider` promises. `makeDevice` gives a new device that holds no keys yet. */
export function keyProviderContract(name: string, makeDevice: () => KeyDevice): void {
  describe(`KeyProvider: ${name}`, () => {
    const devices: KeyDevice[] = []
    afterEach(async () => {
      for (const device of devices.splice(0)) await device.dispose?.()
    })
    const newDevice = () => {
      const device = makeDevice()
      devices.push(device)
      return device
    }

    test('says what holds its keys', () => {
      expect(['none', 'os', 'hardware']).toContain(newDevice().openProvider().quality)
    })

    test('gives the same key again, and to the next process', async () => {
      const device = newDevice()
      const first = device.openProvider()
      const marks = [await macOf(first.deviceKey()), await macOf(first.userFactor(ann))]

      const next = device.openProvider()

      expect([await macOf(first.deviceKey()), await macOf(first.userFactor(ann))]).toEqual(marks)
      expect([await macOf(next.deviceKey()), await macOf(next.userFactor(ann))]).toEqual(marks)
    })

    test('gives every user, and every device, keys of their own', async () => {
      const [one, other] = [newDevice().openProvider(), newDevice().openProvider()]

      const marks = await Promise.all(
        [one.deviceKey(), one.userFactor(ann), one.userFactor(ben), other.deviceKey(), other.userFactor(ann)].map(macOf),
      )

      expect(new Set(marks).size).toBe(5)
    })

    test('two processes that ask for a new key at the same moment get the same one', async () => {
      const device = newDevice()
      const [a, b] = [device.openProvider(), device.openProvider()]

      const marks = await Promise.all([a.userFactor(ann), b.userFactor(ann), a.userFactor(ann)].map(macOf))

      expect(new Set(marks).size).toBe(1)
    })

    test('C3: a destroyed factor is gone for good, and only that one', async () => {
      const device = newDevice()
      const provider = device.openProvider()
      const [annBefore, benBefore] = [await macOf(provider.userFactor(ann)), await macOf(provider.userFactor(ben))]

      await provider.destroy(ann)
      await provider.destroy(ann)

      expect(await macOf(provider.userFactor(ann))).not.toBe(annBefore)
      expect(await macOf(device.openProvider().userFactor(ben))).toBe(benBefore)
    })

    test('MACs are HMAC-SHA-256: 32 bytes, the same for the same data, others for other data', async () => {
      const key = await newDevice().openProvider().deviceKey()

      const [one, again, other] = await Promise.all([key.mac(data), key.mac(data), key.mac(new Uint8Array())])

      expect(one).toHaveLength(32)
      expect(one).toEqual(again)
      expect(one).not.toEqual(other)
    })

    test('remembers which stores exist, where it can', async ({ skip }) => {
      const device = newDevice()
      const provider = device.openProvider()
      if (!provider.mark) return skip('this provider keeps no marks')
      expect(await provider.isMarked?.('users')).toBe(false)

      await provider.mark('users')

      expect(await device.openProvider().isMarked?.('users')).toBe(true)
      expect(await device.openProvider().isMarked?.('others')).toBe(false)
    })
  })
}

const ann = 'key-ann' as UserKey
const ben = 'key-ben' as UserKey
const data = new Uint8Array([1, 2, 3])

async function macOf(key: ReturnType<KeyProvider['deviceKey']>): Promise<string> {
  return (await (await key).mac(data)).join()
}
