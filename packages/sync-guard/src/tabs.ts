import type { Channel, World } from '@nightlatch/auth-core/world'
import type { Activity } from './sync-state.ts'

/** What the tabs of one app tell each other. `user`: whose sync is meant. Holds no token and no document. */
export type TabMessage =
  | { readonly kind: 'hello' | 'here'; readonly paused: boolean }
  | { readonly kind: 'bye' }
  | SyncNews
  | { readonly kind: 'suspend' | 'resume' }
  | { readonly kind: 'wipe' | 'stepped-aside'; readonly databaseName: string }
  /** The sender has newer versions of these collections and is about to migrate them. */
  | { readonly kind: 'update'; readonly databaseName: string; readonly versions: Readonly<Record<string, number>> }
  | { readonly kind: 'leave' | 'left' | 'stay' | 'hurry' | 'once' | 'hand-over'; readonly user: string }

/** How the tab that replicates is getting on. */
export interface SyncNews {
  readonly kind: 'activity'
  readonly user: string
  readonly activity: Activity
  readonly loginRequired?: string
  /** When each collection was pulled completely last. */
  readonly pulledAtMs: Readonly<Record<string, number>>
}

interface Envelope {
  readonly from: string
  readonly message: TabMessage
  /** Asks for an answer under this name. */
  readonly ask?: string
  readonly answerTo?: string
}

/** How long a living tab may take to answer a greeting. */
const ACQUAINTANCE_MS = 150

/** The other tabs of this app on this device, as far as they have said that they are there. */
export class Tabs {
  readonly #world: World
  readonly #channel: Channel
  readonly #me: string
  readonly #peers = new Set<string>()
  readonly #answers = new Map<string, (from: string) => void>()
  /** A tab that has just opened does not know yet who else is there. */
  readonly #acquainted: Promise<void>
  #count = 0

  /**
   * @param receive told what other tabs say; what it returns is awaited before the other tab gets its answer
   */
  constructor(world: World, name: string, receive: (message: TabMessage) => Promise<void> | void) {
    this.#world = world
    this.#acquainted = new Promise((resolve) => void world.timers.start(ACQUAINTANCE_MS, resolve))
    this.#me = Array.from(world.random.bytes(8), (byte) => byte.toString(36)).join('')
    this.#channel = world.channels.open(name)
    this.#channel.listen((data) => {
      if (isEnvelope(data)) void this.#receive(data, receive)
    })
  }

  /** Whether no other tab has said that it is there. */
  get alone(): boolean {
    return this.#peers.size === 0
  }

  tell(message: TabMessage): void {
    this.#channel.post({ from: this.#me, message } satisfies Envelope)
  }

  /** Asks all known tabs and waits until each has answered or the time is up. Resolves with the number of those that did not. */
  async ask(message: TabMessage, deadlineMs: number): Promise<number> {
    if (deadlineMs > 0) await this.#acquainted
    const waitingFor = new Set(this.#peers)
    if (waitingFor.size === 0) {
      this.tell(message)
      return 0
    }
    this.#count += 1
    const ask = `${this.#me}-${this.#count}`
    return new Promise((resolve) => {
      const finish = () => {
        stopTimer()
        this.#answers.delete(ask)
        resolve(waitingFor.size)
      }
      const stopTimer = this.#world.timers.start(deadlineMs, finish)
      this.#answers.set(ask, (from) => {
        waitingFor.delete(from)
        if (waitingFor.size === 0) finish()
      })
      this.#channel.post({ from: this.#me, message, ask } satisfies Envelope)
    })
  }

  close(): void {
    this.tell({ kind: 'bye' })
    this.#channel.close()
  }

  async #receive({ from, message, ask, answerTo }: Envelope, receive: (message: TabMessage) => Promise<void> | void): Promise<void> {
    if (message.kind === 'bye') this.#peers.delete(from)
    else this.#peers.add(from)
    if (answerTo) return this.#answers.get(answerTo)?.(from)
    await receive(message)
    if (ask) this.#channel.post({ from: this.#me, message, answerTo: ask } satisfies Envelope)
  }
}

function isEnvelope(data: unknown): data is Envelope {
  return typeof data === 'object' && data !== null && 'from' in data && 'message' in data
}
