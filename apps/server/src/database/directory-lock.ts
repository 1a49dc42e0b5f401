import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'

export interface DirectoryLock {
  release(): void
}

export class DirectoryInUse extends Error {
  override readonly name = 'DirectoryInUse'
}

/**
 * Makes this process the only server on `directory`, creating it if needed. PGlite itself would let two processes destroy each other's data.
 *
 * The lock is SQLite's own file lock: the kernel drops it when the owner dies, however it dies, and it holds between containers
 * that share the directory, where process ids mean nothing. Network file systems without working locks are not supported.
 *
 * @throws {DirectoryInUse} naming the owner as far as it is known
 */
export function lockDirectory(directory: string): DirectoryLock {
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  const ownerFile = join(directory, 'owner.json')
  const lock = new DatabaseSync(join(directory, 'lock'))
  try {
    lock.exec('begin exclusive')
  } catch (cause) {
    lock.close()
    throw new DirectoryInUse(
      `Another server uses the data directory ${directory}${describeOwner(ownerFile)}. Stop it, or start this one with another --data.`,
      { cause },
    )
  }
  writeFileSync(ownerFile, JSON.stringify({ pid: process.pid, sinceMs: Date.now() }))
  return { release: () => lock.close() }
}

function describeOwner(ownerFile: string): string {
  try {
    const owner: unknown = JSON.parse(readFileSync(ownerFile, 'utf8'))
    const pid = typeof owner === 'object' && owner !== null && 'pid' in owner ? owner.pid : undefined
    return typeof pid === 'number' ? ` (process ${pid})` : ''
  } catch {
    return ''
  }
}
