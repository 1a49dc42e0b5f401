import { availableParallelism } from 'node:os'
import { hash, verify } from '@node-rs/argon2'
import { busy } from '../http/api-error.ts'

export interface HashCost {
  /** KiB */
  readonly memoryCost: number
  readonly timeCost: number
}

/** OWASP's floor for Argon2id with one lane. */
const floorCost: HashCost = { memoryCost: 19_456, timeCost: 2 }
const ARGON2ID = 2
const MAX_WAITING = 64

/**
 * Argon2id, at most one at a time per core: more at once only makes all of them slower. Beyond a short queue callers are told to come back,
 * so that a flood of log-ins cannot take the memory of everything else.
 */
export class PasswordHasher {
  readonly #cost: HashCost
  readonly #slots: number
  #running = 0
  readonly #waiting: (() => void)[] = []
  #decoy: Promise<string> | undefined

  constructor(cost: HashCost = floorCost, slots = availableParallelism()) {
    this.#cost = cost
    this.#slots = slots
  }

  /** How many wait for their turn. */
  get waiting(): number {
    return this.#waiting.length
  }

  /** A PHC string that carries its own parameters. */
  async hash(password: string): Promise<string> {
    return this.#inTurn(() => hash(password, { algorithm: ARGON2ID, parallelism: 1, ...this.#cost }))
  }

  /** Whether a hash was made at today's cost; another one is renewed when its password is next seen. */
  isCurrent(phc: string): boolean {
    const { memoryCost, timeCost } = this.#cost
    return phc.startsWith('$argon2id$') && phc.includes(`$m=${memoryCost},t=${timeCost},p=1$`)
  }

  /** Takes as long for an account that does not exist (`phc` undefined) as for a wrong password. */
  async verify(phc: string | undefined, password: string): Promise<boolean> {
    this.#decoy ??= this.hash('nobody has this password')
    const decoy = await this.#decoy
    const matches = await this.#inTurn(() => verify(phc ?? decoy, password))
    return phc !== undefined && matches
  }

  async #inTurn<T>(work: () => Promise<T>): Promise<T> {
    if (this.#running >= this.#slots) {
      if (this.#waiting.length >= MAX_WAITING) throw busy('Too many log-ins at once. Try again shortly.', 2)
      await new Promise<void>((turn) => this.#waiting.push(turn)) // the slot is handed over, not freed
    } else {
      this.#running++
    }
    try {
      return await work()
    } finally {
      const next = this.#waiting.shift()
      if (next) next()
      else this.#running--
    }
  }
}
