import type { UserKey } from '@nightlatch/auth-core'
import type { Channel, World } from '@nightlatch/auth-core/world'
import { isPlainObject } from './encoding.ts'

/** How long a new tab waits for a live one to hand over a key. */
const PATIENCE_MS = 300

/** Which data key is meant: of this user, by its id, and not closed by a lock since. */
export interface WantedKey {
  readonly user: UserKey
  readonly id: string
  readonly locks: number
}

/**
 * Passes open data keys between tabs of one origin, so that a new tab need not ask the person again (`stay: 'unlock'`).
 * What travels is a CryptoKey that cannot be exported; it is never stored.
 */
export class KeyHandover {
  readonly #channel: Channel
  readonly #world: World
  readonly #stop: () => void
  #asked = 0
  readonly #waiting = new Map<string, (root: CryptoKey) => void>()

  constructor(channel: Channel, world: World, held: (wanted: WantedKey) => CryptoKey | null) {
    this.#channel = channel
    this.#world = world
    this.#stop = channel.listen((message) => {
      if (isRequest(message)) {
        const root = held(message.wanted)
        if (root) this.#give(message.question, root)
      } else if (isAnswer(message)) {
        this.#waiting.get(message.question)?.(message.root)
      }
    })
  }

  /** The key from another tab, or `null` when none answers in time. */
  async ask(wanted: WantedKey): Promise<CryptoKey | null> {
    const question = `${this.#asked}:${this.#world.random.fraction()}`
    this.#asked += 1
    const { promise, resolve } = Promise.withResolvers<CryptoKey | null>()
    this.#waiting.set(question, resolve)
    const stop = this.#world.timers.start(PATIENCE_MS, () => resolve(null))
    this.#channel.post({ type: 'key-wanted', question, wanted })
    try {
      return await promise
    } finally {
      stop()
      this.#waiting.delete(question)
    }
  }

  #give(question: string, root: CryptoKey): void {
    try {
      this.#channel.post({ type: 'key-given', question, root })
    } catch {
      // Node's channels cannot carry keys: the other side asks the person.
    }
  }

  close(): void {
    this.#stop()
    this.#channel.close()
  }
}

function isRequest(message: unknown): message is { readonly question: string; readonly wanted: WantedKey } {
  return isPlainObject(message) && message.type === 'key-wanted' && typeof message.question === 'string' && isPlainObject(message.wanted)
}

function isAnswer(message: unknown): message is { readonly question: string; readonly root: CryptoKey } {
  return isPlainObject(message) && message.type === 'key-given' && typeof message.question === 'string' && message.root instanceof CryptoKey
}
