import type {
  DeviceRecordDraft,
  DeviceVault,
  Revision,
  SessionStore,
  StoreChange,
  StoreContext,
  TagPurpose,
  UserKey,
  UserRecord,
  UserRecordDraft,
  VaultChange,
} from '@nightlatch/auth-core'
import { Subject } from 'rxjs'
import { type OpenStore, openStore, type RxdbSessionStoreOptions } from './open-store.ts'
import { isLostConnection, openFailure, storeFailure } from './store-failure.ts'
import { askForPersistence, type Persistence } from './web/persistence.ts'

/** A session store with the vault that opens and locks what it keeps. */
export interface VaultedSessionStore extends SessionStore {
  readonly vault: DeviceVault
  /** What the browser said when it was asked, at the first log-in, not to evict what is stored. */
  readonly persistence: Persistence | 'not-asked'
}

/** Keeps the users of an app in one RxDB collection, sealed. */
export function rxdbSessionStore(options: RxdbSessionStoreOptions = {}): VaultedSessionStore {
  return new RxdbSessionStore(options)
}

class RxdbSessionStore implements VaultedSessionStore {
  readonly #options: RxdbSessionStoreOptions
  readonly #changes$ = new Subject<StoreChange>()
  readonly #vaultChanges$ = new Subject<VaultChange>()
  #context: StoreContext | undefined
  #opening: Promise<OpenStore> | undefined
  #persistence: Persistence | 'not-asked' = 'not-asked'

  constructor(options: RxdbSessionStoreOptions) {
    this.#options = options
  }

  readonly changes$ = this.#changes$.asObservable()

  readonly device = {
    read: () => this.#with((store) => store.readDevice()),
    update: (expected: Revision, next: DeviceRecordDraft) => this.#with((store) => store.updateDevice(expected, next)),
  }

  readonly vault: DeviceVault = {
    enroll: (...args) => this.#with(({ vault }) => vault.enroll(...args)),
    disenroll: (...args) => this.#with(({ vault }) => vault.disenroll(...args)),
    rewrap: (...args) => this.#with(({ vault }) => vault.rewrap(...args)),
    unlock: (...args) => this.#with(({ vault }) => vault.unlock(...args)),
    lock: (...args) => this.#with(({ vault }) => vault.lock(...args)),
    destroy: (...args) => this.#with(({ vault }) => vault.destroy(...args)),
    methods: (...args) => this.#with(({ vault }) => vault.methods(...args)),
    admit: (...args) => this.#with(({ vault }) => vault.admit(...args)),
    rescue: (...args) => this.#with(({ vault }) => vault.rescue(...args)),
    status: (...args) => this.#with(({ vault }) => vault.status(...args)),
    changes$: this.#vaultChanges$.asObservable(),
  }

  get persistence(): Persistence | 'not-asked' {
    return this.#persistence
  }

  async open(context: StoreContext): Promise<void> {
    this.#context = context
    try {
      await this.#current()
    } catch (error) {
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

  async update(key: UserKey, expected: Revision | null, next: UserRecordDraft): Promise<UserRecord> {
    const stored = await this.#with((store) => store.update(key, expected, next))
    if (expected === null && this.#persistence === 'not-asked') void this.#askForPersistence()
    return stored
  }

  remove(key: UserKey, expected: Revision): Promise<void> {
    return this.#with((store) => store.remove(key, expected))
  }

  async close(): Promise<void> {
    const opening = this.#opening
    this.#context = undefined
    this.#opening = undefined
    await (await opening?.catch(() => undefined))?.close()
  }

  /** A connection that was lost (another tab's upgrade, Safari's storage process) is opened again once; then the trouble is told. */
  async #with<T>(act: (store: OpenStore) => Promise<T>): Promise<T> {
    const used = this.#current()
    try {
      return await act(await used)
    } catch (error) {
      if (!isLostConnection(error)) throw storeFailure(error)
    }
    try {
      return await act(await this.#reopened(used))
    } catch (error) {
      throw storeFailure(error)
    }
  }

  #current(): Promise<OpenStore> {
    return this.#opening ?? this.#opens(this.#openedStore())
  }

  /** One reopening for all who lost the same connection. */
  #reopened(lost: Promise<OpenStore>): Promise<OpenStore> {
    return this.#opening === lost ? this.#opens(lost.then((store) => this.#successorOf(store))) : this.#current()
  }

  /** What failed to open is tried anew by the next call. */
  #opens(opening: Promise<OpenStore>): Promise<OpenStore> {
    this.#opening = opening
    opening.catch(() => {
      if (this.#opening === opening) this.#opening = undefined
    })
    return opening
  }

  async #successorOf(lost: OpenStore): Promise<OpenStore> {
    await lost.leave().catch(() => {}) // Dexie hands out the same dead connection until it is closed
    return this.#openedStore(lost)
  }

  async #openedStore(inherited?: OpenStore): Promise<OpenStore> {
    if (!this.#context) throw new Error('The session store is not open: call open() first.')
    const store = await openStore(this.#context, this.#options, (change) => this.#changes$.next(change), inherited)
    store.vault.changes$.subscribe((change) => this.#vaultChanges$.next(change))
    return store
  }

  async #askForPersistence(): Promise<void> {
    this.#persistence = 'denied'
    this.#persistence = await askForPersistence()
  }
}
