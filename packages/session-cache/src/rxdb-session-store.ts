import type {
  DeviceRecordDraft,
  Revision,
  SessionStore,
  StoreChange,
  StoreContext,
  TagPurpose,
  UserKey,
  UserRecord,
  UserRecordDraft,
} from '@nightlatch/auth-core'
import { Subject } from 'rxjs'
import { type OpenStore, openStore, type RxdbSessionStoreOptions } from './open-store.ts'
import { openFailure, storeFailure } from './store-failure.ts'

/** Keeps the users of an app in one RxDB collection, sealed. */
export function rxdbSessionStore(options: RxdbSessionStoreOptions = {}): SessionStore {
  return new RxdbSessionStore(options)
}

class RxdbSessionStore implements SessionStore {
  readonly #options: RxdbSessionStoreOptions
  readonly #changes$ = new Subject<StoreChange>()
  #opening: Promise<OpenStore> | undefined

  constructor(options: RxdbSessionStoreOptions) {
    this.#options = options
  }

  readonly changes$ = this.#changes$.asObservable()

  readonly device = {
    read: () => this.#with((store) => store.readDevice()),
    update: (expected: Revision, next: DeviceRecordDraft) => this.#with((store) => store.updateDevice(expected, next)),
  }

  async open(context: StoreContext): Promise<void> {
    this.#opening ??= openStore(context, this.#options, (change) => this.#changes$.next(change))
    try {
      await this.#opening
    } catch (error) {
      this.#opening = undefined
      throw openFailure(error)
    }
  }

  read(key: UserKey): Promise<UserRecord | null> {
    return this.#with((store) => store.read(key))
  }

  list(): Promise<readonly UserRecord[]> {
    return this.#with((store) => store.list())
  }

  findByTag(tag: string): Promise<UserRecord | null> {
    return this.#with((store) => store.findByTag(tag))
  }

  tag(purpose: TagPurpose, value: string): Promise<string> {
    return this.#with((store) => store.tag(purpose, value))
  }

  update(key: UserKey, expected: Revision | null, next: UserRecordDraft): Promise<UserRecord> {
    return this.#with((store) => store.update(key, expected, next))
  }

  remove(key: UserKey, expected: Revision): Promise<void> {
    return this.#with((store) => store.remove(key, expected))
  }

  async close(): Promise<void> {
    const opening = this.#opening
    this.#opening = undefined
    await (await opening?.catch(() => undefined))?.close()
  }

  async #with<T>(act: (store: OpenStore) => Promise<T>): Promise<T> {
    if (!this.#opening) throw new Error('The session store is not open: call open() first.')
    try {
      return await act(await this.#opening)
    } catch (error) {
      throw storeFailure(error)
    }
  }
}
