import type { KeyProvider, PlatformKey, UserKey } from '@nightlatch/auth-core'

/** Keys that live as long as this object: Node's default, and for tests. What was sealed with them is lost with them. */
export function memoryKeyProvider(): KeyProvider {
  const keys = new Map<string, Promise<CryptoKey>>()
  const marks = new Set<string>()
  const held = (name: string): Promise<PlatformKey> => {
    const key = keys.get(name) ?? newMacKey()
    keys.set(name, key)
    return key.then(platformKey)
  }
  return {
    quality: 'none',
    deviceKey: () => held('device'),
    userFactor: (key: UserKey) => held(`user:${key}`),
    destroy: async (key: UserKey) => void keys.delete(`user:${key}`),
    mark: async (store) => void marks.add(store),
    isMarked: async (store) => marks.has(store),
  }
}

/** A random HMAC-SHA-256 key whose bytes no script can read. */
export function newMacKey(): Promise<CryptoKey> {
  return crypto.subtle.generateKey({ name: 'HMAC', hash: 'SHA-256', length: 256 }, false, ['sign'])
}

export function platformKey(key: CryptoKey): PlatformKey {
  return { mac: async (data) => new Uint8Array(await crypto.subtle.sign('HMAC', key, data)) }
}
