import { fsyncSync } from 'node:fs'
import { PGlite } from '@electric-sql/pglite'
import { NodeFS } from '@electric-sql/pglite/nodefs'

/**
 * PGlite's files on this machine's disk, with the `fsync` that PGlite leaves out: as shipped it starts with `-F`, and its file layer has no
 * `fsync` operation, so a power cut could take acknowledged commits or the whole database.
 *
 * The operation is hung into an internal object of PGlite that has moved between patch releases. Hence the exact version pin, and the
 * self-test at every start.
 */
export class DurableFileSystem extends NodeFS {
  #syncs = 0

  get syncs(): number {
    return this.#syncs
  }

  override async init(...[pg, options]: Parameters<NodeFS['init']>): ReturnType<NodeFS['init']> {
    const prepared = await super.init(pg, options)
    const addFsync = (wasm: unknown) => {
      fileOperations(wasm).fsync = ({ nfd }) => {
        fsyncSync(nfd)
        this.#syncs++
        return 0
      }
    }
    return { emscriptenOpts: { ...prepared.emscriptenOpts, preRun: [...(prepared.emscriptenOpts.preRun ?? []), addFsync] } }
  }
}

/** PostgreSQL asks for `fdatasync` by default, which never leaves the WASM module; `fsync` does. */
export const durableStartParams = [...PGlite.defaultStartParams.filter((param) => param !== '-F'), '-c', 'wal_sync_method=fsync']

export class NotDurable extends Error {
  override readonly name = 'NotDurable'
}

/** @throws {NotDurable} when a commit does not reach the disk */
export async function checkDurability(pglite: PGlite, files: DurableFileSystem): Promise<void> {
  const before = files.syncs
  await pglite.query(`select pg_logical_emit_message(true, 'nightlatch', 'durability self-test')`)
  if (files.syncs === before) {
    throw new NotDurable(
      'PGlite commits without fsync, so a power cut could lose acknowledged writes. Install the PGlite version this server pins.',
    )
  }
}

interface FileOperations {
  fsync?: (stream: { readonly nfd: number }) => number
}

function fileOperations(wasm: unknown): FileOperations {
  const nodeFs = (wasm as { NODEFS?: { stream_ops?: FileOperations } }).NODEFS
  return nodeFs?.stream_ops ?? {} // if it moved again, the self-test will tell
}
