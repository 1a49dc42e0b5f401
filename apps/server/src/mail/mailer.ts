import type { Log } from '../log.ts'
import type { Mail, MailPort } from './mail-port.ts'

const TRIES = 3
const PAUSE_MS = 1000

/**
 * Sends in the background: an answer that waited for a mail would tell who has an account. A mail that cannot be sent is logged without its
 * address; the person asks for another one.
 */
export class Mailer {
  readonly #port: MailPort
  readonly #log: Log
  readonly #sending = new Set<Promise<void>>()

  constructor(port: MailPort, log: Log) {
    this.#port = port
    this.#log = log
  }

  send(mail: Mail): void {
    const sending = this.#deliver(mail).finally(() => this.#sending.delete(sending))
    this.#sending.add(sending)
  }

  /** Resolves when what was given to `send` so far is out, or has failed. */
  async settled(): Promise<void> {
    await Promise.all(this.#sending)
  }

  async close(): Promise<void> {
    await this.settled()
    this.#port.close()
  }

  async #deliver(mail: Mail): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#port.send(mail)
      } catch (error) {
        this.#log.error('mail-failed', error, { attempt })
        if (attempt === TRIES) return
        await new Promise((resolve) => setTimeout(resolve, PAUSE_MS * attempt).unref())
      }
    }
  }
}
