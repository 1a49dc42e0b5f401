import type { KeyProvider } from '@nightlatch/auth-core'
import type { RxStorage, RxStorageInstance, RxStorageInstanceCreationParams } from 'rxdb/plugins/core'

/** The process died. Everything it tries afterwards fails, and nothing it tries reaches the disk. */
export class Crashed extends Error {
  override readonly name = 'Crashed'
}

/**
 * Lets a process die at its n-th durable write (rows and keys together): `before` it reaches the disk, or `after` it did and before
 * anybody heard of it.
 */
export class CrashPlan {
  writes = 0
  #dead = false
  readonly #at: number
  readonly #when: 'before' | 'after'

  constructor(at: number, when: 'before' | 'after') {
    this.#at = at
    this.#when = when
  }

  get happened(): boolean {
    return this.#dead
  }

  async write<T>(act: () => Promise<T>): Promise<T> {
    this.alive()
    this.writes += 1
    if (this.writes !== this.#at) return act()
    this.#dead = true
    if (this.#when === 'after') await act()
    throw new Crashed('The process died.')
  }

  alive(): void {
    if (this.#dead) throw new Crashed('The process is dead.')
  }

  storage(storage: RxStorage<unknown, unknown>): RxStorage<unknown, unknown> {
    const createStorageInstance = async <Doc>(params: RxStorageInstanceCreationParams<Doc, unknown>) => {
      const instance = await storage.createStorageInstance<Doc>(params)
      return params.collectionName === 'users' ? this.#dying(instance) : instance
    }
    return Object.create(storage, { createStorageInstance: { value: createStorageInstance } }) as RxStorage<unknown, unknown>
  }

  keys(keys: KeyProvider): KeyProvider {
    return {
      ...keys,
      destroy: (key) => this.write(() => keys.destroy(key)),
      mark: (store) => this.write(async () => keys.mark?.(store)),
    }
  }

  #dying<Doc>(instance: RxStorageInstance<Doc, unknown, unknown>): RxStorageInstance<Doc, unknown, unknown> {
    const write = instance.bulkWrite.bind(instance)
    const cleanup = instance.cleanup.bind(instance)
    instance.bulkWrite = (rows, context) => this.write(() => write(rows, context))
    instance.cleanup = (age) => this.write(() => cleanup(age))
    return instance
  }
}
