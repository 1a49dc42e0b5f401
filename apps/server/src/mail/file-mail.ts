import { mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { v7 } from '../tokens/uuid.ts'
import type { Mail, MailPort } from './mail-port.ts'

const storedMail = z.object({ to: z.string(), subject: z.string(), text: z.string(), sentAtMs: z.number() })
export type StoredMail = z.output<typeof storedMail> & { readonly id: string }

/** Writes each mail to a file that only the server's account can read. For development; nobody's mail box. */
export class FileMail implements MailPort {
  readonly #folder: string
  readonly #nowMs: () => number

  constructor(folder: string, nowMs: () => number) {
    this.#folder = folder
    this.#nowMs = nowMs
  }

  async send(mail: Mail): Promise<void> {
    mkdirSync(this.#folder, { recursive: true, mode: 0o700 })
    const sentAtMs = this.#nowMs()
    const path = join(this.#folder, `${v7(sentAtMs)}.json`)
    await writeFile(`${path}.draft`, JSON.stringify({ ...mail, sentAtMs }, null, 2), { mode: 0o600 })
    await rename(`${path}.draft`, path)
  }

  /** The newest first. */
  list(limit = 50): readonly StoredMail[] {
    let names: readonly string[]
    try {
      names = readdirSync(this.#folder)
    } catch {
      return [] // nothing was sent yet
    }
    return names
      .filter((name) => name.endsWith('.json'))
      .sort()
      .reverse()
      .slice(0, limit)
      .map((name) => ({ ...storedMail.parse(JSON.parse(readFileSync(join(this.#folder, name), 'utf8'))), id: name.replace('.json', '') }))
  }

  close(): void {}
}
