import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'

export type Engine = 'pglite' | 'postgresql'

export class WrongEngine extends Error {
  override readonly name = 'WrongEngine'
}

const mark = z.object({ engine: z.enum(['pglite', 'postgresql']) })

/**
 * Refuses to serve a data directory from another engine than before: it would be an empty server that refuses every session.
 *
 * @throws {WrongEngine}
 */
export function checkEngineMark(directory: string, engine: Engine): void {
  const path = join(directory, 'engine.json')
  if (!existsSync(path)) {
    markEngine(directory, engine)
    return
  }
  const used = mark.parse(JSON.parse(readFileSync(path, 'utf8'))).engine
  if (used === engine) return
  throw new WrongEngine(
    `${directory} has been served from ${used}, and now ${engine} is configured. Move the data with "export" and "import" first, or use another --data.`,
  )
}

export function markEngine(directory: string, engine: Engine): void {
  writeFileSync(join(directory, 'engine.json'), JSON.stringify({ engine }))
}
