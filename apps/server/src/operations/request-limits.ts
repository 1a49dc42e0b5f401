import { RateLimiterMemory, RateLimiterRes } from 'rate-limiter-flexible'
import { ApiError } from '../http/api-error.ts'

/** Requests per minute at one instance. */
export interface LimitSettings {
  /** Registrations and log-ins from one address. */
  readonly credentialsPerMinute: number
  /** Everything else, by session where there is one, else by address. */
  readonly requestsPerMinute: number
}

export type LimitKind = 'credentials' | 'requests'

/**
 * Keeps one caller from taking the server from the others. Counted in memory of each instance: behind n instances a caller may get n times
 * as much. It is no protection of accounts against guessing.
 */
export class RequestLimits {
  readonly #limiters: Readonly<Record<LimitKind, RateLimiterMemory>>

  constructor({ credentialsPerMinute, requestsPerMinute }: LimitSettings) {
    this.#limiters = {
      credentials: new RateLimiterMemory({ points: credentialsPerMinute, duration: 60 }),
      requests: new RateLimiterMemory({ points: requestsPerMinute, duration: 60 }),
    }
  }

  /** @throws {ApiError} `throttled` (429) with `Retry-After` */
  async take(kind: LimitKind, caller: string): Promise<void> {
    try {
      await this.#limiters[kind].consume(caller)
    } catch (refusal) {
      if (!(refusal instanceof RateLimiterRes)) throw refusal
      const seconds = Math.max(1, Math.ceil(refusal.msBeforeNext / 1000))
      throw new ApiError(429, 'throttled', `Too many requests. Try again in ${seconds} s.`, { headers: { 'Retry-After': String(seconds) } })
    }
  }
}
